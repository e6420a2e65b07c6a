package persist_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
)

var ctx = context.Background()

// frameOf returns the frame of an event with data of about n bytes.
func frameOf(id uint64, n int) []byte {
	return fmt.Appendf(nil, "id: %d\ndata: %0*d\n\n", id, n, id)
}

func recordsOf(ids ...uint64) []persist.Record {
	recs := make([]persist.Record, len(ids))
	for i, id := range ids {
		recs[i] = persist.Record{ID: id, Time: int64(id), Frame: frameOf(id, 1)}
	}
	return recs
}

func idsOf(recs []persist.Record) []uint64 {
	ids := make([]uint64, len(recs))
	for i := range recs {
		ids[i] = recs[i].ID
	}
	return ids
}

// readAll reads a log from after to its end in pages of n.
func readAll(tb testing.TB, l persist.Log, after uint64, n int) []persist.Record {
	tb.Helper()
	var all []persist.Record
	for {
		p, err := l.Read(ctx, after, persist.Limit{Records: n})
		require.NoError(tb, err)
		if p.UpTo == after {
			return all
		}
		all = append(all, p.Records...)
		after = p.UpTo
	}
}

func queryAll(tb testing.TB, l persist.Querier, q persist.Query, after uint64, n int) []persist.Record {
	tb.Helper()
	var all []persist.Record
	for {
		p, err := l.Query(ctx, q, after, persist.Limit{Records: n})
		require.NoError(tb, err)
		if p.UpTo == after {
			return all
		}
		all = append(all, p.Records...)
		after = p.UpTo
	}
}

// seeded returns a random source whose seed is in the log of a failed test. The
// environment variable SPATE_SEED replays it.
func seeded(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SPATE_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("replay with: SPATE_SEED=%d go test -run '^%s$' ./persist", seed, t.Name())
	return rand.New(rand.NewPCG(seed, 0))
}

// randomRecords returns n records with IDs after last and all kinds of audience.
func randomRecords(rng *rand.Rand, n int, last uint64) []persist.Record {
	recs := make([]persist.Record, n)
	for i := range recs {
		last += 1 + rng.Uint64N(3)
		if rng.IntN(50) == 0 {
			last += rng.Uint64N(1 << 20) // into another segment of the index
		}
		r := persist.Record{ID: last, Time: int64(last), Frame: frameOf(last, rng.IntN(100))}
		if rng.IntN(2) == 0 {
			r.Topic = fmt.Sprintf("t%d", rng.IntN(5))
		}
		if rng.IntN(3) == 0 {
			for range 1 + rng.IntN(3) {
				r.Users = append(r.Users, fmt.Sprintf("u%d", rng.IntN(5)))
			}
		}
		if rng.IntN(5) == 0 {
			r.Key = fmt.Sprintf("k%d", rng.IntN(5))
		}
		recs[i] = r
	}
	return recs
}

func randomQuery(rng *rand.Rand) persist.Query {
	q := persist.Query{Public: rng.IntN(2) == 0}
	for range rng.IntN(4) {
		q.Topics = append(q.Topics, fmt.Sprintf("t%d", rng.IntN(6)))
	}
	if rng.IntN(2) == 0 {
		q.User = fmt.Sprintf("u%d", rng.IntN(6))
	}
	return q
}

// selects is what a Query selects, in the most obvious form.
func selects(q persist.Query, r persist.Record) bool {
	if !q.Public && len(q.Topics) == 0 && q.User == "" {
		return true
	}
	if r.Users != nil {
		return slices.Contains(r.Users, q.User)
	}
	return q.Public && r.Topic == "" || r.Topic != "" && slices.Contains(q.Topics, r.Topic)
}

// manualClock is a clock that the test moves.
type manualClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []manualTimer
}

type manualTimer struct {
	at time.Time
	ch chan time.Time
}

func newClock() *manualClock { return &manualClock{now: time.UnixMilli(1_000_000)} }

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := manualTimer{c.now.Add(d), make(chan time.Time, 1)}
	c.timers = append(c.timers, t)
	return t.ch
}

func (c *manualClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.timers = slices.DeleteFunc(c.timers, func(t manualTimer) bool {
		if t.at.After(c.now) {
			return false
		}
		t.ch <- c.now
		return true
	})
}
