// Package logtest has what the tests of the logs share: records, reading to the end,
// random sources, a clock that the test moves.
package logtest

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

// Frame returns the frame of an event with data of about n bytes.
func Frame(id uint64, n int) []byte {
	return fmt.Appendf(nil, "id: %d\ndata: %0*d\n\n", id, n, id)
}

// Records returns a record for everyone with each of the IDs, which are their times
// too.
func Records(ids ...uint64) []persist.Record {
	recs := make([]persist.Record, len(ids))
	for i, id := range ids {
		recs[i] = persist.Record{ID: id, Time: int64(id), Frame: Frame(id, 1)}
	}
	return recs
}

// IDs returns the IDs of records.
func IDs(recs []persist.Record) []uint64 {
	ids := make([]uint64, len(recs))
	for i := range recs {
		ids[i] = recs[i].ID
	}
	return ids
}

// ReadAll reads a log from after to its end in pages of n.
func ReadAll(tb testing.TB, l persist.Log, after uint64, n int) []persist.Record {
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

// QueryAll reads what q selects after an ID to the end of a log, in pages of n.
func QueryAll(tb testing.TB, l persist.Querier, q persist.Query, after uint64, n int) []persist.Record {
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

// Seeded returns a random source whose seed is in the log of a failed test. The
// environment variable SPATETEST_SEED replays it.
func Seeded(t *testing.T, pkg string) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SPATETEST_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("replay with: SPATETEST_SEED=%d go test -run '^%s$' ./%s", seed, t.Name(), pkg)
	return rand.New(rand.NewPCG(seed, 0))
}

// RandomRecords returns n records with IDs after last and all kinds of audience.
func RandomRecords(rng *rand.Rand, n int, last uint64) []persist.Record {
	recs := make([]persist.Record, n)
	for i := range recs {
		last += 1 + rng.Uint64N(3)
		if rng.IntN(50) == 0 {
			last += rng.Uint64N(1 << 20) // into another segment of the index
		}
		r := persist.Record{ID: last, Time: int64(last), Frame: Frame(last, rng.IntN(100))}
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

// RandomQuery returns a query that selects some of RandomRecords.
func RandomQuery(rng *rand.Rand) persist.Query {
	q := persist.Query{Public: rng.IntN(2) == 0}
	for range rng.IntN(4) {
		q.Topics = append(q.Topics, fmt.Sprintf("t%d", rng.IntN(6)))
	}
	if rng.IntN(4) == 0 {
		q.Topics = append(q.Topics, []string{"*", ">", "*.*", "t1.>"}[rng.IntN(4)])
	}
	if rng.IntN(2) == 0 {
		q.User = fmt.Sprintf("u%d", rng.IntN(6))
	}
	return q
}

// Selects is what a Query Selects, in the most obvious form.
func Selects(q persist.Query, r persist.Record) bool {
	if !q.Public && len(q.Topics) == 0 && q.User == "" {
		return true
	}
	if r.Users != nil {
		return slices.Contains(r.Users, q.User)
	}
	all := slices.Contains(q.Topics, "*") || slices.Contains(q.Topics, ">") // topics of RandomRecords have one token
	return q.Public && r.Topic == "" || r.Topic != "" && (all || slices.Contains(q.Topics, r.Topic))
}

// Clock is a clock that the test moves.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	timers []manualTimer
}

type manualTimer struct {
	at time.Time
	ch chan time.Time
}

// NewClock returns a clock that stands at 1,000,000 ms.
func NewClock() *Clock { return &Clock{now: time.UnixMilli(1_000_000)} }

// Now implements persist.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// After implements persist.Clock.
func (c *Clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := manualTimer{c.now.Add(d), make(chan time.Time, 1)}
	c.timers = append(c.timers, t)
	return t.ch
}

// Advance moves the clock, and fires the timers that this passes.
func (c *Clock) Advance(d time.Duration) {
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

// Sequence returns the IDs from one to another.
func Sequence(from, to uint64) []uint64 {
	var ids []uint64
	for id := from; id <= to; id++ {
		ids = append(ids, id)
	}
	return ids
}
