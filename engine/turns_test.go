package engine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/stretchr/testify/require"
)

// callers asks for pages of history that the log does not give before the gate is opened.
type callers struct {
	t     *testing.T
	h     *engine.Hub
	gate  chan struct{}
	asked chan string // users, in the order in which the log is asked
	all   sync.WaitGroup
}

func newCallers(t *testing.T) *callers {
	l := newWholeLog()
	c := &callers{t: t, gate: make(chan struct{}), asked: make(chan string, 10_000)}
	l.onQuery = func(ctx context.Context, q persist.Query) error {
		c.asked <- q.User
		select {
		case <-c.gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	c.h = newHub(t, engine.WithLog(l), engine.WithEnableResendEvents())
	pushN(t, c.h, 3)
	return c
}

// ask asks for one page, without waiting for it.
func (c *callers) ask(ctx context.Context, source, user string, done func(error)) {
	c.all.Go(func() {
		seat, err := c.h.Seat(ctx, engine.Subscription{UID: user, Source: source, LastEventID: engine.Earliest})
		if err == nil {
			_, err = seat.History(ctx, 10)
		}
		done(err)
	})
}

// oneByOne lets the log answer one after the other, so that the order in which it is asked is that of the turns and not the
// scheduler's, until all have their pages.
func (c *callers) oneByOne() {
	ended := make(chan struct{})
	go func() { c.all.Wait(); close(ended) }()
	for {
		select {
		case c.gate <- struct{}{}:
			synctest.Wait()
		case <-ended:
			return
		}
	}
}

// Invariant 5: however many pages of history one source, or one user of it, asks for,
// somebody else waits for those alone that are being read, and one more each.
func TestHistoryTurnsAreFair(t *testing.T) {
	for name, crowded := range map[string]struct{ source, user string }{
		"another source": {"192.0.2.1", "%d"}, "another user of the source": {"192.0.2.2", "one"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCallers(t)
				fine := func(err error) { require.NoError(t, err) }
				for i := range 300 {
					user := crowded.user
					if user == "%d" {
						user = fmt.Sprint("u", i)
					}
					c.ask(t.Context(), crowded.source, user, fine)
				}
				synctest.Wait() // they wait, but for those whose turn it is
				c.ask(t.Context(), "192.0.2.2", "me", fine)
				synctest.Wait()
				c.oneByOne()
				close(c.asked)
				var order []string
				for user := range c.asked {
					order = append(order, user)
				}
				at := slices.Index(order, "me")
				require.GreaterOrEqual(t, at, 0)
				require.LessOrEqual(t, at, 8*3*runtime.GOMAXPROCS(0), "of %d readings", len(order))
			})
		})
	}
}

// Invariant 9: a wait for a turn ends with its context, and with the hub; who gives up
// leaves its turn to others.
func TestHistoryTurnsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCallers(t)
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		ends := map[string]int{}
		count := func(err error) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				ends["read"]++
			case errors.Is(err, context.Canceled):
				ends["canceled"]++
			case errors.Is(err, engine.ErrClosed), errors.Is(err, engine.ErrHistory):
				ends["closed"]++
			default:
				ends[err.Error()]++
			}
		}
		for range 100 {
			c.ask(ctx, "192.0.2.1", "", count)
		}
		synctest.Wait()
		cancel()
		c.all.Wait()
		require.Equal(t, map[string]int{"canceled": 100}, ends)
		c.ask(t.Context(), "192.0.2.1", "", count)
		synctest.Wait()
		close(c.gate)
		c.all.Wait()
		require.Equal(t, 1, ends["read"], "the turns were given back")

		c.gate = make(chan struct{})
		for range 100 {
			c.ask(t.Context(), "192.0.2.1", "", count)
		}
		synctest.Wait()
		c.h.Close()
		c.all.Wait()
		require.Equal(t, 100, ends["closed"], ends)
	})
}

// sparseLog has one user look for long and find nothing, and others be done at once.
type sparseLog struct {
	*wholeLog
	gate  chan struct{}
	asked chan string
}

func (l *sparseLog) Query(_ context.Context, q persist.Query, after uint64, _ persist.Limit) (persist.Page, error) {
	l.asked <- q.User
	<-l.gate
	if q.User == "sparse" {
		return persist.Page{UpTo: after + 1}, nil
	}
	return persist.Page{UpTo: after}, nil
}

// Pages for which the log is asked again and again cost their source as much, although
// they have nothing in the end.
func TestHistoryThatFindsNothingIsPaidFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := 3 * runtime.GOMAXPROCS(0)
		n := 16 * slots
		l := &sparseLog{newWholeLog(), make(chan struct{}), make(chan string, 20*n)}
		h := newHub(t, engine.WithLog(l), engine.WithEnableResendEvents())
		pushN(t, h, 3)
		var all sync.WaitGroup
		for range n {
			for _, user := range []string{"sparse", "plain"} {
				all.Go(func() {
					seat, err := h.Seat(t.Context(), engine.Subscription{UID: user, Source: user, LastEventID: engine.Earliest})
					if err == nil {
						_, err = seat.History(t.Context(), 10)
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait()
		}
		close(l.gate)
		all.Wait()
		close(l.asked)
		plain, sparse := 0, 0
		for user := range l.asked {
			switch {
			case user == "plain":
				plain++
			case plain < n*3/4:
				sparse++ // while others waited; the last of them may just not have been run yet
			}
		}
		require.Equal(t, n, plain)
		require.LessOrEqual(t, sparse, 2*n, "of %d readings of the log", 8*n)
	})
}
