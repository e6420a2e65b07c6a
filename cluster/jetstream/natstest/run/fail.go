package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	ours "github.com/spatehub/spate/cluster/jetstream"
)

// failures counts what was broken.
type failures struct {
	mu sync.Mutex
	of map[string]int
}

func (f *failures) note(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[string]int{}
	}
	f.of[what]++
}

func (f *failures) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for what, n := range f.of {
		all = append(all, fmt.Sprintf("%s ×%d", what, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// wait waits some time up to most, or until ctx ends.
func wait(ctx context.Context, rng *rand.Rand, most time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(rng.Int64N(int64(most)))):
	}
}

// failHubs breaks one hub after the other, while failServers breaks servers.
func (r *run) failHubs(ctx context.Context) {
	rng := r.rng(3)
	for ctx.Err() == nil {
		wait(ctx, rng, 3*time.Second)
		i := rng.IntN(3)
		switch n := rng.IntN(6); {
		case ctx.Err() != nil:
		case n == 0 && r.disks[i].small:
			r.failures.note("disk full")
			if err := r.disks[i].fill(); err != nil {
				r.p.Error(err)
			}
			wait(ctx, rng, 3*time.Second)
			r.disks[i].free()
		case n == 1:
			r.failures.note("hub cut off")
			r.cut(i, true)
			wait(ctx, rng, 8*time.Second)
			r.cut(i, false)
		case n == 2:
			r.failures.note("slow servers")
			for range 10 {
				for _, way := range r.ways[i] {
					way.Delay(time.Duration(rng.IntN(300)) * time.Millisecond)
				}
				wait(ctx, rng, 500*time.Millisecond)
			}
			for _, way := range r.ways[i] {
				way.Delay(0)
			}
		case n == 3:
			r.failures.note("hub killed, and its folder lost")
			r.hubs.Kill(i)
			if err := os.RemoveAll(r.hubs.Hubs[i].Data); err != nil {
				r.p.Error(err)
			}
			r.hubs.Start(i)
		default:
			r.failures.note("hub killed")
			r.hubs.Kill(i)
			wait(ctx, rng, time.Second)
			r.hubs.Start(i)
		}
	}
}

func (r *run) cut(i int, cut bool) {
	for _, way := range r.ways[i] {
		way.Cut(cut)
	}
}

// failServers breaks one server after the other, or all, or the stream.
func (r *run) failServers(ctx context.Context) {
	rng := r.rng(4)
	for ctx.Err() == nil {
		wait(ctx, rng, 6*time.Second)
		i, most := rng.IntN(3), 6
		if r.lossy {
			most = 8
		}
		switch n := rng.IntN(most); {
		case ctx.Err() != nil:
		case n <= 1:
			if leader, ok := r.leader(); ok {
				i = leader
			}
			r.failures.note("leader killed")
			r.nats.Kill(i)
			wait(ctx, rng, 2*time.Second)
			r.nats.Start(i)
		case n == 2:
			r.failures.note("server stopped")
			r.nats.Halt(i, true)
			wait(ctx, rng, 4*time.Second)
			r.nats.Halt(i, false)
		case n == 3:
			r.failures.note("all servers killed")
			for i := range r.nats.Servers {
				r.nats.Kill(i)
			}
			wait(ctx, rng, time.Second)
			for i := range r.nats.Servers {
				r.nats.Start(i)
			}
		case n <= 5:
			if leader, ok := r.leader(); ok && n == 4 {
				i = leader
			}
			r.failures.note("server cut off from the others")
			r.nats.Isolate(i, true)
			wait(ctx, rng, 8*time.Second)
			r.nats.Isolate(i, false)
		case n == 6:
			r.failures.note("stream purged")
			r.onStream(func(ctx context.Context, js jetstream.JetStream) error {
				st, err := js.Stream(ctx, ours.DefaultStream)
				if err != nil {
					return err
				}
				return st.Purge(ctx)
			})
		default:
			r.failures.note("stream made anew")
			r.onStream(func(ctx context.Context, js jetstream.JetStream) error {
				return js.DeleteStream(ctx, ours.DefaultStream)
			})
			if err := r.ledger.streamBegins(context.Background(), r.nats.URL()); err != nil {
				r.p.Error(err)
			}
		}
	}
}

// leader asks who leads the stream.
func (r *run) leader() (server int, known bool) {
	nc, err := nats.Connect(r.nats.URL(), nats.Timeout(time.Second))
	if err != nil {
		return 0, false
	}
	defer nc.Close()
	m, err := nc.Request("$JS.API.STREAM.INFO."+ours.DefaultStream, nil, time.Second)
	if err != nil {
		return 0, false
	}
	var info struct{ Cluster struct{ Leader string } }
	if json.Unmarshal(m.Data, &info) != nil {
		return 0, false
	}
	n, err := fmt.Sscanf(info.Cluster.Leader, "n%d", &server)
	return server, err == nil && n == 1
}

// onStream does something to the stream, until it is done.
func (r *run) onStream(do func(ctx context.Context, js jetstream.JetStream) error) {
	nc, err := nats.Connect(r.nats.URL(), ours.ConnOptions()...)
	if err != nil {
		r.p.Error(err)
		return
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		r.p.Error(err)
		return
	}
	for end := time.Now().Add(time.Minute); ; <-time.After(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		err := do(ctx, js)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			r.p.Error("the stream can't be changed:", err)
			return
		}
	}
}
