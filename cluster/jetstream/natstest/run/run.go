package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/cluster/jetstream/natstest"
)

// run is one run of the program.
type run struct {
	settings
	p    *program
	nats *natstest.Cluster
	hubs *natstest.Hubs

	ways  [][]*natstest.Proxy // of each hub to each server, with chaos
	disks []*disk             // of each hub, with chaos

	enough func() // ends the run; nil: deliveries do not

	ledger     ledger
	moves, got atomic.Int64
	last       atomic.Uint64 // ID of the last event; 0: not yet
	failures   failures
}

// faults counts what is wrong, and tells the first of it.
type faults struct {
	mu sync.Mutex
	n  int
}

// toldFaults is how many are told.
const toldFaults = 50

func (f *faults) tell(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n++; f.n <= toldFaults {
		fmt.Fprint(os.Stderr, text)
	}
}

func (f *faults) any() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n > 0
}

func (r *run) rng(n int) *rand.Rand { return rand.New(rand.NewPCG(r.seed, uint64(n))) }

func (r *run) url(rng *rand.Rand) string { return r.hubs.Hubs[rng.IntN(len(r.hubs.Hubs))].URL }

func (r *run) run(ctx context.Context) {
	if r.chaos {
		if err := r.ledger.streamBegins(ctx, r.nats.URL()); err != nil {
			r.p.Fatal(err)
		}
	}
	began := time.Now()
	start := r.push(r.rng(1), push{{data: "the beginning"}})
	var publishing, roaming, others sync.WaitGroup
	for i := range r.publishers {
		publishing.Go(func() { r.publish(ctx, i) })
	}
	all := make([]*roamer, r.clients)
	for i := range all {
		all[i] = newRoamer(r, i, start)
		roaming.Go(all[i].roam)
	}
	if r.presence {
		for i := range visitors {
			others.Go(func() { r.visit(ctx, i) })
		}
	}
	others.Go(func() { r.report(ctx) })
	if r.chaos {
		others.Go(func() { r.failHubs(ctx) })
		others.Go(func() { r.failServers(ctx) })
	}
	publishing.Wait()
	others.Wait()
	r.hubs.AwaitReady()
	r.last.Store(r.push(r.rng(2), push{{data: "the end"}}))
	roaming.Wait()
	r.verify(all, time.Since(began))
}

// report prints how it goes.
func (r *run) report(ctx context.Context) {
	every := 2 * time.Second
	if r.deliveries > 0 {
		every = 10 * time.Second
	}
	for was := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
		got := r.got.Load()
		fmt.Printf("%d events acknowledged, %d deliveries (%d a second), %d moves %s\n", r.ledger.acknowledged(), got, (got-was)/int64(every/time.Second), r.moves.Load(), r.failures.String())
		was = got
	}
}
