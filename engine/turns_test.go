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

// crowd asks for pages of history that the log does not give before the gate is opened.
type crowd struct {
	t     *testing.T
	h     *engine.Hub
	gate  chan struct{}
	asked chan string // users, in the order in which the log is asked
	all   sync.WaitGroup
}

func newCrowd(t *testing.T) *crowd {
	l := newWholeLog()
	c := &crowd{t: t, gate: make(chan struct{}), asked: make(chan string, 10_000)}
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
func (c *crowd) ask(ctx context.Context, source, user string, done func(error)) {
	c.all.Go(func() {
		seat, err := c.h.Seat(ctx, engine.Subscription{UID: user, Source: source, LastEventID: engine.Earliest})
		if err == nil {
			_, err = seat.History(ctx, 10)
		}
		done(err)
	})
}

// Invariant 5: however many pages of history one source, or one user of it, asks for,
// somebody else waits for those alone that are being read, and one more each.
func TestHistoryTurnsAreFair(t *testing.T) {
	for name, crowded := range map[string]struct{ source, user string }{
		"another source": {"192.0.2.1", "%d"}, "another user of the source": {"192.0.2.2", "one"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(t)
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
				close(c.gate)
				c.all.Wait()
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
		c := newCrowd(t)
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
