package client_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// collect ranges over Events to its end.
func collect(ctx context.Context, c *client.SSEClient) (got []string, err error) {
	for e, e2 := range c.Events(ctx) {
		if e2 != nil {
			err = e2
			continue
		}
		got = append(got, e.Event+" "+e.Data.(string))
	}
	return got, err
}

// The iterator gets events of all types across connections, callbacks first,
// and ends without error when the server asks for it.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, stream("id: 4\ndata: 1\n\nevent: x\ndata: 2\n\n"), status(503), stream("event: close\ndata: bye\n\n"))
		c := srv.newClient(t, onClose)
		var called []any
		c.OnEvent("x", func(e *wire.Event) { called = append(called, e.Data) })
		got, err := collect(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, []string{"message 1", "x 2", "close bye"}, got)
		require.Equal(t, []any{"2"}, called)
		require.Equal(t, "4", srv.got()[2].header.Get("Last-Event-ID"))
		<-c.Wait()
		require.NoError(t, c.Err())
		_, err = collect(t.Context(), c)
		require.ErrorIs(t, err, client.ErrDisconnected, "can be used once")
	})
}

func TestEventsBreakEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, streamAndStay("id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n"))
		c := srv.newClient(t)
		for e, err := range c.Events(t.Context()) {
			require.NoError(t, err)
			require.Equal(t, "1", e.Data)
			require.ErrorIs(t, c.Connect(), client.ErrConnected)
			break
		}
		<-c.Wait()
		synctest.Wait()
		require.NoError(t, c.Err())
		require.Equal(t, "1", c.LastEventID())
		require.Zero(t, srv.streams())
	})
}

// The one error comes last: of the first connection, of the end, of the context.
func TestEventsErrors(t *testing.T) {
	t.Run("first connection", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			got, err := collect(t.Context(), newServer(t, status(404)).newClient(t))
			require.Empty(t, got)
			wantStatus(t, 404, err)
		})
	})
	t.Run("end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newServer(t, stream("data: 1\n\n"), status(401)).newClient(t)
			got, err := collect(t.Context(), c)
			require.Len(t, got, 1)
			wantStatus(t, 401, err)
			require.Equal(t, err, c.Err())
		})
	})
	errEnough := errors.New("enough")
	t.Run("context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, errEnough)
			defer cancel()
			begin := time.Now()
			c := newServer(t, streamAndStay("data: 1\n\n")).newClient(t)
			got, err := collect(ctx, c)
			require.Len(t, got, 1)
			require.ErrorIs(t, err, errEnough)
			require.ErrorIs(t, c.Err(), errEnough)
			require.Equal(t, time.Hour, time.Since(begin))
		})
	})
	t.Run("context while waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, errEnough)
			defer cancel()
			begin := time.Now()
			c := newServer(t, stream("data: 1\n\n"), status(503, "Retry-After", "3601")).newClient(t, client.WithReconnectInterval(1))
			_, err := collect(ctx, c)
			require.ErrorIs(t, err, errEnough)
			require.Equal(t, time.Hour, time.Since(begin))
		})
	})
	t.Run("context before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(errEnough)
			_, err := collect(ctx, newServer(t, silence).newClient(t))
			require.ErrorIs(t, err, errEnough)
		})
	})
}

func TestEventsDisconnect(t *testing.T) {
	for name, inCallback := range map[string]bool{"in the loop": false, "in a callback": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newServer(t, streamAndStay("data: 1\n\ndata: 2\n\n")).newClient(t)
				if inCallback {
					c.OnEvent("message", func(*wire.Event) { c.Disconnect() })
				}
				n := 0
				for _, err := range c.Events(t.Context()) {
					require.NoError(t, err)
					n++
					c.Disconnect()
				}
				require.Equal(t, 1, n)
				<-c.Wait()
				require.NoError(t, c.Err())
			})
		})
	}
}

func TestEventsPanicEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, streamAndStay("data: 1\n\n"))
		closed := srv.watchBody(func() {})
		c := srv.newClient(t)
		require.PanicsWithValue(t, "in the loop", func() {
			for range c.Events(t.Context()) {
				panic("in the loop")
			}
		})
		<-c.Wait()
		synctest.Wait()
		require.EqualValues(t, 1, closed.Load())
		require.Zero(t, srv.streams())
	})
}
