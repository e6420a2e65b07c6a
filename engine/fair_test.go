package engine

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// fairClient is a client that reads history, as far as a fairQueue looks at it.
func fairClient(h *Hub, source uint64, uid string) *history {
	return newHistory(&client{source: source, uid: uid, shard: &shard{hub: h}}, point{})
}

// served pops n requests and returns the places of those that ok picks.
func servedAt(q *fairQueue, ok func(*history) bool) (places []int) {
	for i := 0; q.size > 0; i++ {
		if ok(q.pop()) {
			places = append(places, i)
		}
	}
	return places
}

// Invariant 5: however many a source, or a user of it, sends, one request of
// another waits for a bounded number of readings.
func TestFairQueueServesOthersBesideACrowd(t *testing.T) {
	hub := &Hub{seed: maphash.MakeSeed()}
	for _, c := range []struct {
		name           string
		source         uint64
		uid            string
		cost, theirs   uint64
		most           int
		sourcesOfTheir int
	}{
		{"another source", 2, "", 8, 8, 1, 1},
		{"another source, dear beside cheap", 2, "", 1000, 8, 1, 1},
		{"another user of the source", 1, "me", 8, 8, 1, 1},
		{"the same user, cheap beside dear", 1, "", 8, 1000, 0, 1},
		{"one of many sources", 1000, "", 8, 8, 200, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			var q fairQueue
			for i := range 200 {
				q.push(fairClient(hub, 1+uint64(i%c.sourcesOfTheir), ""), c.theirs)
			}
			mine := fairClient(hub, c.source, c.uid)
			q.push(mine, c.cost)
			require.LessOrEqual(t, servedAt(&q, func(h *history) bool { return h == mine })[0], c.most)
		})
	}
}

// A reader that goes on page by page is served every other time beside a crowd
// that does so too, and the crowd is not starved by it.
func TestFairQueueSharesBetweenSources(t *testing.T) {
	hub := &Hub{seed: maphash.MakeSeed()}
	var q fairQueue
	mine := fairClient(hub, 2, "")
	for range 200 {
		q.push(fairClient(hub, 1, ""), 8)
	}
	q.push(mine, 8)
	mines := 0
	for range 200 {
		h := q.pop()
		if h == mine {
			mines++
		}
		q.push(h, 8)
	}
	require.InDelta(t, 100, mines, 1)
}

// Who was silent has saved up nothing, and who was served is not forgotten its
// debt while others wait.
func TestFairQueueForgetsNoDebt(t *testing.T) {
	hub := &Hub{seed: maphash.MakeSeed()}
	var q fairQueue
	a, b := fairClient(hub, 1, "a"), fairClient(hub, 2, "b")
	late := fairClient(hub, 3, "late")
	q.push(a, 1)
	q.push(b, 1)
	for range 100 { // a and b go on while late is silent
		q.push(q.pop(), 1)
	}
	q.push(late, 1)
	runs := map[*history]int{}
	for range 30 {
		h := q.pop()
		runs[h]++
		q.push(h, 1)
	}
	for _, h := range []*history{a, b, late} {
		require.InDelta(t, 10, runs[h], 1)
	}
	q.charge(a, 20)
	runs = map[*history]int{}
	for range 30 {
		h := q.pop()
		runs[h]++
		q.push(h, 1)
	}
	require.Zero(t, runs[a], "it pays first")
}

// Random use: the queue loses and doubles nothing, and keeps no node once it is
// empty.
func TestFairQueueAgainstASet(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	hub := &Hub{seed: maphash.MakeSeed()}
	var q fairQueue
	waiting := map[*history]bool{}
	for range 50_000 {
		if rng.IntN(2) == 0 && len(waiting) < 300 {
			h := fairClient(hub, rng.Uint64N(5000), fmt.Sprint(rng.IntN(3)))
			q.push(h, rng.Uint64N(1000))
			waiting[h] = true
		} else if h := q.pop(); h != nil {
			require.True(t, waiting[h])
			delete(waiting, h)
			if rng.IntN(2) == 0 {
				q.charge(h, rng.Uint64N(100))
			}
		} else {
			require.Empty(t, waiting)
		}
		require.Equal(t, len(waiting), q.size)
	}
	for q.size > 0 {
		delete(waiting, q.pop())
	}
	require.Empty(t, waiting)
	require.Empty(t, q.root.known)
	require.Nil(t, q.root.first)
}
