package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"syscall"
	"time"

	"github.com/spatehub/spate/wire"
)

// Whom events are for. The end of an event's data says it too, behind a space.
const (
	users  = 20
	topics = 4
)

// event is one of a push.
type event struct {
	data        string
	user, topic string // "" both: for everybody
}

// push is what is pushed in one go: all events of it for one user, or none.
type push []event

// plan makes a push. Most is for everybody.
func (r *run) plan(rng *rand.Rand, publisher, n int) push {
	p := make(push, 1+rng.IntN(r.batch))
	user := ""
	if rng.IntN(10) == 0 {
		user = fmt.Sprint("u", rng.IntN(users))
	}
	for k := range p {
		p[k] = event{user: user}
		switch {
		case user != "":
		case rng.IntN(10) == 0:
			p[k].topic = fmt.Sprint("t", rng.IntN(topics))
		}
		p[k].data = fmt.Sprintf("%d.%d.%d %s", publisher, n, k, p[k].audience())
	}
	return p
}

// audience is whom an event is for, as its data says it.
func (e *event) audience() string {
	switch {
	case e.user != "":
		return e.user
	case e.topic != "":
		return e.topic
	}
	return "all"
}

func (p push) body() []byte {
	type eventBody struct {
		Event string `json:"event"`
		Data  string `json:"data"`
		Topic string `json:"topic,omitempty"`
	}
	body := struct {
		UIDs   []string    `json:"uids,omitempty"`
		Events []eventBody `json:"events"`
	}{}
	if p[0].user != "" {
		body.UIDs = []string{p[0].user}
	}
	for _, e := range p {
		body.Events = append(body.Events, eventBody{"run", e.data, e.topic})
	}
	text, _ := json.Marshal(body)
	return text
}

// ahead is how many events for all may be on their way to each client before publishers
// wait.
const ahead = 200

func (r *run) publish(ctx context.Context, publisher int) {
	rng := r.rng(10 + publisher)
	for n := 0; ctx.Err() == nil; n++ {
		r.push(rng, r.plan(rng, publisher, n))
		<-time.After(r.pause)
		for ctx.Err() == nil && r.ledger.acknowledged()*int64(r.clients)*8/10-r.got.Load() > ahead*int64(r.clients) {
			<-time.After(5 * time.Millisecond)
		}
	}
}

// push publishes until a hub has answered. It returns the first ID, 0 where nobody knows.
func (r *run) push(rng *rand.Rand, p push) uint64 {
	body := p.body()
	r.ledger.try(p)
	for {
		var answer struct {
			IDs    []string `json:"ids"`
			Detail string   `json:"detail"`
		}
		resp, err := http.Post(r.url(rng)+"/push", "application/json", bytes.NewReader(body))
		if err == nil {
			err = json.NewDecoder(resp.Body).Decode(&answer)
			resp.Body.Close()
		}
		switch {
		case err == nil && len(answer.IDs) == len(p):
			ids := make([]uint64, len(p))
			for i, text := range answer.IDs {
				ids[i], _ = wire.ParseID(text)
			}
			r.ledger.acknowledge(p, ids)
			return ids[0]
		case err == nil && resp.StatusCode == http.StatusServiceUnavailable && !bytes.Contains([]byte(answer.Detail), []byte("may or may not")) && !bytes.Contains([]byte(answer.Detail), []byte("closed")):
			<-time.After(20 * time.Millisecond) // not published
			continue
		case errors.Is(err, syscall.ECONNREFUSED):
			<-time.After(20 * time.Millisecond) // nobody there: nothing was published
			continue
		case err == nil && resp.StatusCode < 500:
			r.p.Error("a push was refused:", resp.Status, answer.Detail)
		}
		r.ledger.doubt(len(p))
		return 0 // a hub that was killed: published or not
	}
}
