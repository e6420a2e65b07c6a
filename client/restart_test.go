package client_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// Restart connects at once, whatever the client is at, and resumes; nothing is
// told as an error.
func TestRestart(t *testing.T) {
	for name, tc := range map[string]struct {
		turns []http.HandlerFunc
		opts  []client.Option
		state client.State
		lost  int // errors before
	}{
		"open":                {[]http.HandlerFunc{streamAndStay("id: 7\ndata: a\n\n"), streamAndStay("")}, nil, client.StateOpen, 0},
		"waiting":             {[]http.HandlerFunc{stream("id: 7\ndata: a\n\n"), streamAndStay("")}, nil, client.StateWaiting, 1},
		"connecting":          {[]http.HandlerFunc{stream("id: 7\ndata: a\n\n"), silence, streamAndStay("")}, []client.Option{client.WithReconnectInterval(0)}, client.StateConnecting, 1},
		"waiting by a status": {[]http.HandlerFunc{stream("id: 7\ndata: a\n\n"), status(503, "Retry-After", "3600"), streamAndStay("")}, []client.Option{client.WithReconnectInterval(0)}, client.StateWaiting, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, tc.turns...)
				c := srv.newClient(t, append([]client.Option{client.WithReconnectInterval(time.Hour)}, tc.opts...)...)
				var lost []error
				c.OnError(func(err error) { lost = append(lost, err) })
				require.Equal(t, client.StateIdle, c.State())
				c.Restart() // nothing to do yet
				require.NoError(t, c.Connect())
				elapse(time.Minute)
				require.Equal(t, tc.state, c.State())
				require.Len(t, srv.got(), len(tc.turns)-1)
				begin := time.Now()
				c.Restart()
				synctest.Wait()
				require.Zero(t, time.Since(begin))
				require.Equal(t, client.StateOpen, c.State())
				got := srv.got()
				require.Len(t, got, len(tc.turns))
				require.Equal(t, "7", got[len(got)-1].header.Get("Last-Event-ID"))
				require.Equal(t, 1, srv.streams(), "the old connection is gone")
				require.Len(t, lost, tc.lost)
				c.Disconnect()
				<-c.Wait()
				c.Restart()
				require.Equal(t, client.StateEnded, c.State())
				require.Equal(t, "ended", c.State().String())
			})
		})
	}
}

// Restart in the first connection, and from a callback: what was read ahead comes
// again from the server, not from the buffer.
func TestRestartInBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, silence, streamAndStay(""))
		c := srv.newClient(t)
		result := make(chan error, 1)
		go func() { result <- c.Connect() }()
		synctest.Wait()
		c.Restart()
		require.NoError(t, <-result)
		require.Len(t, srv.got(), 2)
	})
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, streamAndStay("id: 1\ndata: a\n\nid: 2\ndata: b\n\n"), streamAndStay("id: 2\ndata: b\n\n"))
		c := srv.newClient(t)
		var got []string
		var attempts []error
		c.OnReconnect(func(attempt int, wait time.Duration, err error) {
			require.Equal(t, 1, attempt)
			require.Zero(t, wait)
			attempts = append(attempts, err)
		})
		c.OnEvent("", func(e *wire.Event) {
			if got = append(got, e.Data.(string)); len(got) == 1 {
				c.Restart()
			}
		})
		require.NoError(t, c.Connect())
		elapse(time.Minute)
		require.Equal(t, []string{"a", "b"}, got)
		require.Equal(t, "1", srv.got()[1].header.Get("Last-Event-ID"))
		require.Equal(t, []error{client.ErrRestart}, attempts)
	})
}

// Restart in the moment after a connection was lost is not forgotten.
func TestRestartWhileTheLossIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, stream("data: a\n\n"), streamAndStay(""))
		c := srv.newClient(t, client.WithReconnectInterval(time.Hour))
		c.OnError(func(error) { c.Restart() })
		begin := time.Now()
		require.NoError(t, c.Connect())
		synctest.Wait()
		require.Len(t, srv.got(), 2)
		require.Zero(t, time.Since(begin))
	})
}

// Enough is enough: by number, by time, and beginning anew after a healthy
// connection.
func TestGivingUp(t *testing.T) {
	for name, tc := range map[string]struct {
		turns []http.HandlerFunc
		opts  []client.Option
		tries int
		sent  int
	}{
		"tries":                         {[]http.HandlerFunc{stream("data: a\n\n"), status(503)}, []client.Option{client.WithMaxTries(3)}, 3, 4},
		"tries begin anew":              {[]http.HandlerFunc{stream("data: a\n\n"), status(503), stream("data: a\n\n"), status(503)}, []client.Option{client.WithMaxTries(3)}, 3, 6},
		"unhealthy connections count":   {[]http.HandlerFunc{stream("")}, []client.Option{client.WithMaxTries(3)}, 3, 3},
		"first connection":              {[]http.HandlerFunc{status(503)}, []client.Option{client.WithMaxTries(3), client.WithRetryFirst()}, 3, 3},
		"downtime":                      {[]http.HandlerFunc{stream("data: a\n\n"), status(503, "Retry-After", "40")}, []client.Option{client.WithMaxDowntime(time.Minute)}, 2, 3},
		"downtime of the first":         {[]http.HandlerFunc{status(503, "Retry-After", "40")}, []client.Option{client.WithMaxDowntime(time.Minute), client.WithRetryFirst()}, 2, 2},
		"a wait that would be too long": {[]http.HandlerFunc{stream("data: a\n\n"), status(503, "Retry-After", "3600")}, []client.Option{client.WithMaxDowntime(time.Minute)}, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, tc.turns...)
				begin := time.Now()
				_, err := collect(t.Context(), srv.newClient(t, append(tc.opts, client.WithReconnectInterval(time.Second), client.WithMaxBackoff(time.Second))...))
				var enough *client.GiveUpError
				require.ErrorAs(t, err, &enough)
				require.Equal(t, tc.tries, enough.Tries)
				require.Len(t, srv.got(), tc.sent)
				require.Less(t, time.Since(begin), 90*time.Second)
				require.ErrorContains(t, err, "gave up after")
				if tc.sent > 3 {
					wantStatus(t, 503, err)
				}
			})
		})
	}
}

// By default the first connection is tried once; with WithRetryFirst as often as
// it takes, unless trying can't help.
func TestRetryFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, status(503), status(500), streamAndStay(""))
		c := srv.newClient(t, client.WithRetryFirst())
		var lost []error
		c.OnError(func(err error) { lost = append(lost, err) })
		require.NoError(t, c.Connect())
		require.Len(t, srv.got(), 3)
		require.Len(t, lost, 2)
		require.Equal(t, client.StateOpen, c.State())
	})
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, status(503), status(404))
		wantStatus(t, 404, srv.newClient(t, client.WithRetryFirst()).Connect())
	})
	synctest.Test(t, func(t *testing.T) {
		c := newServer(t, status(503)).newClient(t, client.WithRetryFirst())
		time.AfterFunc(time.Hour, c.Disconnect)
		begin := time.Now()
		require.ErrorIs(t, c.Connect(), client.ErrDisconnected)
		require.Equal(t, time.Hour, time.Since(begin))
	})
}

// A client that is started again after it gave up begins anew with its waits too.
func TestRetryFirstAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newServer(t, status(503)).newClient(t, client.WithRetryFirst(), client.WithMaxTries(2), client.WithReconnectInterval(time.Second), client.WithMaxBackoff(24*time.Hour))
		for range 20 {
			begin := time.Now()
			require.ErrorContains(t, c.Connect(), "gave up after 2 tries")
			require.Less(t, time.Since(begin), 2*time.Second)
			require.Equal(t, client.StateIdle, c.State())
		}
	})
}

func TestInitialDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, streamAndStay(""))
		begin := time.Now()
		require.NoError(t, srv.newClient(t, client.WithInitialDelay(time.Minute)).Connect())
		require.Equal(t, time.Minute, time.Since(begin))
	})
	synctest.Test(t, func(t *testing.T) {
		c := newServer(t, streamAndStay("")).newClient(t, client.WithInitialDelay(time.Hour))
		time.AfterFunc(time.Minute, c.Disconnect)
		begin := time.Now()
		require.ErrorIs(t, c.Connect(), client.ErrDisconnected)
		require.Equal(t, time.Minute, time.Since(begin))
	})
}

// A finite stream: its end is no error, a cut is one, and there is one request.
func TestWithoutReconnect(t *testing.T) {
	for text, want := range map[string]error{"data: a\n\n": nil, "data: a\n\ndata: b": client.ErrCut} {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t, stream(text))
			c := srv.newClient(t, client.WithoutReconnect())
			var told []error
			c.OnError(func(err error) { told = append(told, err) })
			got, err := collect(t.Context(), c)
			require.Equal(t, []string{"message a"}, got)
			require.True(t, errors.Is(err, want), "%v", err)
			require.Equal(t, want != nil, len(told) == 1)
			require.Len(t, srv.got(), 1)
		})
	}
}
