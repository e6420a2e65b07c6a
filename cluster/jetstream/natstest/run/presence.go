package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/engine"
)

const (
	presenceTopic = "who"
	visitors      = 30 // users who come and go all the time
)

// visit is one user who comes and goes, each time at some hub.
func (r *run) visit(ctx context.Context, i int) {
	for rng := r.rng(5000 + i); ctx.Err() == nil; wait(ctx, rng, 4*time.Second) {
		visit, cancel := context.WithTimeout(ctx, time.Duration(rng.Int64N(int64(4*time.Second))))
		req, err := http.NewRequestWithContext(visit, http.MethodGet, fmt.Sprint(r.url(rng), "/events?uid=v", i), nil)
		if err != nil {
			r.p.Fatal(err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		cancel()
	}
}

// toldOfUsers returns what the stream tells of each user.
func (r *run) toldOfUsers() (map[string][]string, error) {
	all := map[string][]string{}
	err := readStream(r.nats.URL(), func(e *cluster.Entry) {
		var p engine.Presence
		switch {
		case e.Event.Topic != presenceTopic:
		case json.Unmarshal(e.Event.Data.([]byte), &p) != nil:
			r.p.Error("an event of presence that can't be read:", e.ID, string(e.Event.Data.([]byte)))
		default:
			all[p.UID] = append(all[p.UID], e.Event.Event)
		}
	})
	return all, err
}

// goneTime bounds how long users may take to leave when all connections have ended: those
// of a hub that was killed do when it counts as gone.
const goneTime = 2 * time.Minute

// verifyPresence sees whether all users have left in the end, and that each has joined and
// left in turn.
func (r *run) verifyPresence() {
	for end := time.Now().Add(goneTime); ; <-time.After(time.Second) {
		all, err := r.toldOfUsers()
		there, told := 0, 0
		for _, events := range all {
			if told += len(events); events[len(events)-1] != engine.LeaveEvent {
				there++
			}
		}
		if err == nil && there > 0 && time.Now().Before(end) {
			continue
		}
		if err != nil || there > 0 || len(all) < visitors {
			r.p.Error("of", len(all), "users", there, "have not left:", err)
		}
		for uid, events := range all {
			for i, e := range events {
				if e != []string{engine.JoinEvent, engine.LeaveEvent}[i%2] {
					r.p.Error("user", uid, "did not join and leave in turn:", events)
					break
				}
			}
		}
		fmt.Printf("%d users joined and left in turn, %d times\n", len(all), told/2)
		return
	}
}
