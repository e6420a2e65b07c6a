package pebblelog_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// TestReadersBesideRetention has readers follow a log while it is appended to and
// trimmed. A reader that finds records missing must find the floor above them, if
// it asks after the read: no loss without a gap (invariant 3).
func TestReadersBesideRetention(t *testing.T) {
	n := uint64(20_000)
	if testrace.On {
		n = 4_000
	}
	bothLogs(t, func(t *testing.T, open openFunc) {
		l := open(persist.Retention{
			MaxCount: 500,
			Topics:   map[string]persist.Retention{"t1": {MaxCount: 20}},
		}, nil)
		var wg sync.WaitGroup
		errs := make(chan error, 4)
		for i := range 4 {
			q := []persist.Query{{}, {Public: true}, {Topics: []string{"t1"}}, {Public: true, Topics: []string{"t1", "t2"}}}[i]
			wg.Go(func() { errs <- followTrimmed(l, q, n) })
		}
		batch := make([]persist.Record, 0, 20)
		for id := uint64(1); id <= n; {
			batch = batch[:0]
			for len(batch) < cap(batch) {
				batch = append(batch, persist.Record{ID: id, Topic: topicOf(id), Frame: logtest.Frame(id, 1)})
				id++
			}
			require.NoError(t, l.Append(ctx, batch))
		}
		wg.Wait()
		for range 4 {
			require.NoError(t, <-errs)
		}
		require.NoError(t, l.Close())
	})
}

// topicOf gives each record of TestReadersBesideRetention its topic.
func topicOf(id uint64) string { return []string{"", "t1", "t2"}[id%3] }

func followTrimmed(l querierLog, q persist.Query, last uint64) error {
	pos := uint64(0)
	for pos < last {
		p, err := l.Query(ctx, q, pos, persist.Limit{Records: 100})
		if err != nil {
			return err
		}
		floor := l.Floor(q.Topics)
		if len(q.Topics) == 0 && !q.Public {
			floor = l.Floor([]string{"t1"}) // of everything
		}
		next := pos + 1
		for _, r := range append(p.Records, persist.Record{ID: p.UpTo + 1}) {
			for ; next < r.ID; next++ {
				if logtest.Selects(q, persist.Record{ID: next, Topic: topicOf(next)}) && next > floor {
					return fmt.Errorf("query %+v after %d lacks record %d; the floor is %d", q, pos, next, floor)
				}
			}
			next = r.ID + 1
		}
		pos = p.UpTo
	}
	return nil
}

// TestConcurrentAppends holds that a Pebble log may be appended to by several
// goroutines, as users of its Store face will.
func TestConcurrentAppends(t *testing.T) {
	l := openPebble(t, t.TempDir())
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := uint64(0)
	for range 4 {
		wg.Go(func() {
			for range 50 {
				mu.Lock()
				next++
				wait, err := l.Begin(logtest.Records(next))
				mu.Unlock()
				if err == nil {
					err = wait()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, logtest.Sequence(1, 200), logtest.IDs(logtest.ReadAll(t, l, 0, 64)))
	require.NoError(t, l.Close())
}

// TestCloseBesideEverything holds invariant 9: Close waits for what is under way,
// and everything after it gets ErrClosed.
func TestCloseBesideEverything(t *testing.T) {
	l := openPebble(t, t.TempDir(), pebblelog.WithSync(false), pebblelog.WithRetention(persist.Retention{MaxCount: 10}))
	var wg sync.WaitGroup
	started := make(chan struct{}, 3)
	until := func(do func(i uint64) error) {
		wg.Go(func() {
			for i := uint64(1); ; i++ {
				if err := do(i); err != nil {
					if !errors.Is(err, persist.ErrClosed) {
						t.Error(err)
					}
					return
				}
				if i == 100 {
					started <- struct{}{}
				}
			}
		})
	}
	until(func(i uint64) error { return l.Append(ctx, logtest.Records(i)) })
	until(func(uint64) error { _, err := l.Read(ctx, 0, persist.Limit{}); return err })
	until(func(uint64) error {
		_, err := l.Query(context.Background(), persist.Query{User: "u"}, 0, persist.Limit{})
		return err
	})
	for range 3 {
		<-started
	}
	wg.Go(func() { _ = l.LogStats() })
	require.NoError(t, l.Close())
	wg.Wait()
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.LogStats().Err, persist.ErrClosed)
}
