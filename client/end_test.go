package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// Every wait ends at once on Disconnect: the fake clock must not move at all.
func TestDisconnectAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		turns []http.HandlerFunc
		opts  []client.Option
		after time.Duration // when the client is where it is to be caught
		first bool          // in its first connection
	}{
		"before the first response": {turns: []http.HandlerFunc{silence}, first: true},
		"reading":                   {turns: []http.HandlerFunc{streamAndStay("data: x\n\n")}},
		"reading with idle timeout": {turns: []http.HandlerFunc{streamAndStay("data: x\n\n")}, opts: []client.Option{client.WithIdleTimeout(time.Hour)}},
		"before a later response":   {turns: []http.HandlerFunc{stream(""), silence}, after: time.Minute},
		"waiting": {
			turns: []http.HandlerFunc{stream(""), status(503, "Retry-After", "3600")},
			after: time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, tc.turns...)
				c := srv.newClient(t, tc.opts...)
				result := make(chan error, 1)
				go func() { result <- c.Connect() }()
				elapse(tc.after)
				begin := time.Now()
				var both sync.WaitGroup
				both.Go(c.Disconnect)
				both.Go(c.Disconnect)
				both.Wait()
				<-c.Wait()
				c.Disconnect()
				synctest.Wait()
				require.Zero(t, time.Since(begin))
				require.Zero(t, srv.streams(), "the server sees the connection go")
				require.NoError(t, c.Err())
				if tc.first {
					require.ErrorIs(t, <-result, client.ErrDisconnected)
				} else {
					require.NoError(t, <-result)
				}
			})
		})
	}
}

func TestDisconnectBeforeConnect(t *testing.T) {
	c := client.NewClient("http://127.0.0.1:1/")
	c.Disconnect()
	c.Disconnect()
	<-c.Wait()
	require.ErrorIs(t, c.Connect(), client.ErrDisconnected)
	require.NoError(t, c.Err())
}

// Disconnect just when the first response is there: the connection is closed
// again, not left behind.
func TestDisconnectBesideConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, streamAndStay("data: x\n\n"))
		var c *client.SSEClient
		closed := srv.watchBody(func() { c.Disconnect() })
		c = srv.newClient(t)
		require.ErrorIs(t, c.Connect(), client.ErrDisconnected)
		<-c.Wait()
		synctest.Wait()
		require.EqualValues(t, 1, closed.Load())
		require.Zero(t, srv.streams())
		require.NoError(t, c.Err())
	})
}

// Disconnect from a callback: no deadlock, and no further callback, though more
// events have been read already.
func TestDisconnectInCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newServer(t, streamAndStay("id: 1\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\ndata: 3\n\n")).newClient(t)
		n := 0
		c.OnEvent("", func(e *wire.Event) {
			if n++; n == 2 {
				c.Disconnect()
			}
		})
		c.OnError(func(err error) { require.Fail(t, "was asked for", "%v", err) })
		require.NoError(t, c.Connect())
		<-c.Wait()
		require.Equal(t, 2, n)
		require.Equal(t, "2", c.LastEventID(), "what was not handed out is not passed over")
		require.NoError(t, c.Err())
	})
}

// No request follows Disconnect, also where nothing is waited for.
func TestDisconnectInOnReconnect(t *testing.T) {
	for name, restart := range map[string]bool{"without a wait": false, "at a restart": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, stream("retry: 0\ndata: x\n\n"))
				requests, inner := 0, srv.client.Transport
				srv.client.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
					requests++
					return inner.RoundTrip(r)
				})
				c := srv.newClient(t, client.WithReconnectInterval(0))
				c.OnReconnect(func(int, time.Duration, error) { c.Disconnect() })
				for _, err := range c.Events(t.Context()) {
					require.NoError(t, err)
					if restart {
						c.Restart()
					}
				}
				require.Equal(t, 1, requests)
				require.NoError(t, c.Err())
			})
		})
	}
}

func TestDisconnectInOnOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newServer(t, streamAndStay("data: 1\n\n")).newClient(t)
		c.OnOpen(func(http.Header) { c.Disconnect() })
		c.OnEvent("", func(*wire.Event) { require.Fail(t, "disconnected") })
		require.NoError(t, c.Connect())
		<-c.Wait()
	})
}

// onClose ends a client by an event of the type "close".
var onClose = client.WithEnd(func(e *wire.Event) bool { return e.Event == "close" })

// WithEnd's event is handed out, and the last one; by default it is like any other.
func TestEndEvent(t *testing.T) {
	const text = "id: 1\ndata: 1\n\nid: 2\nevent: close\ndata: bye\n\ndata: 3\n\n"
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, streamAndStay(text))
		c := srv.newClient(t, onClose)
		var got []any
		c.OnEvent(client.EveryType, func(e *wire.Event) { got = append(got, e.Data) })
		c.OnError(func(err error) { require.Fail(t, "was asked for", "%v", err) })
		require.NoError(t, c.Connect())
		<-c.Wait()
		synctest.Wait()
		require.Equal(t, []any{"1", "bye"}, got)
		require.NoError(t, c.Err())
		require.Equal(t, "2", c.LastEventID())
		require.Len(t, srv.got(), 1)
		require.Zero(t, srv.streams())
	})
	synctest.Test(t, func(t *testing.T) {
		c := newServer(t, streamAndStay(text)).newClient(t)
		var got []any
		c.OnEvent(client.EveryType, func(e *wire.Event) { got = append(got, e.Data) })
		require.NoError(t, c.Connect())
		elapse(time.Hour)
		require.Equal(t, []any{"1", "bye", "3"}, got)
		require.Equal(t, client.StateOpen, c.State())
	})
}

// WithEndData's event is not handed out, but its ID counts.
func TestEndData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newServer(t, streamAndStay("data: [DONE] \n\nid: 2\ndata: [DONE]\n\ndata: 3\n\n")).newClient(t, client.WithEndData("[DONE]"))
		got, err := collect(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, []string{"message [DONE] "}, got)
		require.Equal(t, "2", c.LastEventID())
	})
}

// A callback that ends its goroutine, as FailNow of a test does, ends the client.
func TestGoexitInCallbackEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, streamAndStay("data: 1\n\n"))
		closed := srv.watchBody(func() {})
		c := srv.newClient(t)
		c.OnEvent("", func(*wire.Event) { runtime.Goexit() })
		require.NoError(t, c.Connect())
		<-c.Wait()
		synctest.Wait()
		require.EqualValues(t, 1, closed.Load())
		require.Zero(t, srv.streams())
	})
}

const panicEnv = "SPATETEST_CLIENT_TEST_PANIC"

// A panic of a callback is not swallowed: it ends the program, here this test's
// own, started again.
func TestPanicInCallbackIsNotSwallowed(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), panicEnv+"=1")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "panic: out of a callback")
}

func panicInCallback() {
	srv := httptest.NewServer(stream("data: x\n\n"))
	c := client.NewClient(srv.URL)
	c.OnEvent("", func(*wire.Event) { panic("out of a callback") })
	if err := c.Connect(); err != nil {
		fmt.Println(err)
		return
	}
	<-c.Wait()
	select {} // until the panic ends it, or the test
}
