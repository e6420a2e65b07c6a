package client_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// The first connection is made synchronously: what is wrong with it shows.
func TestConnectTellsWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		turn http.HandlerFunc
		code int
	}{
		"unauthorized":       {status(401), 401},
		"not found":          {status(404), 404},
		"unavailable":        {status(503), 503},
		"no content":         {status(204), 204},
		"not modified":       {status(304), 304},
		"another success":    {status(201, "Content-Type", "text/event-stream"), 201},
		"HTML":               {status(200, "Content-Type", "text/html"), 0},
		"no content type":    {status(200, "Content-Type", ""), 0},
		"wrong content type": {status(200, "Content-Type", "text/event-stream-not"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, tc.turn, streamAndStay(""))
				c := srv.newClient(t)
				err := c.Connect()
				if tc.code != 0 {
					wantStatus(t, tc.code, err)
				} else {
					require.ErrorIs(t, err, client.ErrContentType)
				}
				require.ErrorContains(t, err, "http://hub.test/events")
				require.NotContains(t, err.Error(), "secret")

				select {
				case <-c.Wait():
					require.Fail(t, "a client that has not begun has not ended")
				default:
				}
				require.NoError(t, c.Connect(), "may be called again")
			})
		})
	}
}

func TestConnectBadURL(t *testing.T) {
	for _, url := range []string{"", ":", "http://", "ftp://hub.test/?token=secret", "http://a b/?token=secret", "/events"} {
		c := client.NewClient(url)
		err := c.Connect()
		require.Error(t, err, url)
		require.NotContains(t, err.Error(), "secret")
		require.Error(t, c.Connect(), "still not")
		c.Disconnect()
		<-c.Wait()
	}
}

func TestConnectOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newServer(t, streamAndStay("")).newClient(t)
		require.NoError(t, c.Connect())
		require.ErrorIs(t, c.Connect(), client.ErrConnected)
		c.Disconnect()
		<-c.Wait()
		require.ErrorIs(t, c.Connect(), client.ErrDisconnected)
		require.NoError(t, c.Err())
	})
}

func TestRequestHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, stream("id: é 2\ndata\n\n"), stream("id: a\x01b\ndata\n\n"), streamAndStay(""))
		var log bytes.Buffer
		c := srv.newClient(t, client.WithLastEventID("1"),
			client.WithHeaders(map[string]string{"authorization": "Bearer x", "host": "other.test", "Cache-Control": "no-store"}),
			client.WithHeaders(map[string]string{"X-More": "y", "Last-Event-ID": "never"}),
			client.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		require.NoError(t, c.Connect())
		elapse(time.Hour)
		got := srv.got()
		require.Len(t, got, 3)
		for _, r := range got {
			require.Equal(t, "other.test", r.host)
			require.Equal(t, "text/event-stream", r.header.Get("Accept"))
			require.Equal(t, "no-store", r.header.Get("Cache-Control"))
			require.Equal(t, "Bearer x", r.header.Get("Authorization"))
			require.Equal(t, "y", r.header.Get("X-More"))
		}
		require.Equal(t, "1", got[0].header.Get("Last-Event-ID"))
		require.Equal(t, "é 2", got[1].header.Get("Last-Event-ID"))
		require.Equal(t, "never", got[2].header.Get("Last-Event-ID"), "an ID that no header can hold is not sent")
		require.Contains(t, log.String(), "can't be sent in a header")
		require.Contains(t, log.String(), "http://hub.test/events")
		require.NotContains(t, log.String(), "secret")
	})
}

// Callbacks run one at a time and in order, each for its type.
func TestCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, streamAndStay("id: 1\ndata: a\n\nevent: x\ndata: b\n\nevent: other\ndata: c\n\nid: 2\nevent: message\ndata: d\n\nevent: x\ndata: e\n\n"))
		c := srv.newClient(t)
		var got []string
		running := false
		note := func(e *wire.Event) {
			require.False(t, running)
			running = true
			elapse(time.Second)
			running = false
			got = append(got, e.Event+" "+e.ID+" "+e.Data.(string))
			require.Equal(t, e.ID, c.LastEventID())
		}
		c.OnEvent("", func(*wire.Event) { require.Fail(t, "replaced") })
		c.OnEvent("message", note)
		c.OnEvent("x", note)
		c.OnEvent("other", note)
		c.OnEvent("other", nil)
		require.NoError(t, c.Connect())
		elapse(time.Minute)
		require.Equal(t, []string{"message 1 a", "x 1 b", "message 2 d", "x 2 e"}, got)
		require.Equal(t, "2", c.LastEventID())
	})
}

// The timeout of the http.Client must not cut a stream.
func TestHTTPClientTimeoutIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, streamAndStay(""))
		srv.client.Timeout = time.Second
		c := srv.newClient(t)
		require.NoError(t, c.Connect())
		elapse(time.Hour)
		require.Len(t, srv.got(), 1)
		require.Equal(t, time.Second, srv.client.Timeout, "the caller's own is left alone")
	})
}
