package client_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// The client resumes after the last event it has handed out; an event without
// ID, or one cut off, does not move it.
func TestReconnectResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t,
			stream("id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: cut off\n"),
			stream("event: gap\ndata: {}\n\n"),
			stream(": nothing\n\n"),
			stream("id: 3\ndata: c\n\n"),
			streamAndStay("id\ndata: d\n\n"),
		)
		c := srv.newClient(t)
		var got []string
		c.OnEvent("message", func(e *wire.Event) { got = append(got, e.Data.(string)) })
		c.OnEvent("gap", func(e *wire.Event) { got = append(got, "gap "+e.ID) })
		require.NoError(t, c.Connect())
		elapse(time.Hour)
		require.Equal(t, []string{"a", "b", "gap 2", "c", "d"}, got)
		var ids []string
		for _, r := range srv.got() {
			ids = append(ids, r.header.Get("Last-Event-ID"))
		}
		require.Equal(t, []string{"", "2", "2", "2", "3"}, ids)
		require.Empty(t, c.LastEventID(), "a stream may take the ID back")
	})
}

// The waits are those of the backoff, one after the other, and "retry:" is their
// base as soon as it has come: never sooner than it says.
func TestReconnectWaits(t *testing.T) {
	for name, hello := range map[string]string{
		"with a blank line": "retry: 40\n\n", "without": ": spate\nretry: 40\n", "with an event": "retry: 40\nevent: x\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, stream(hello), status(500), status(500), status(500), status(500), streamAndStay(""))
				c := srv.newClient(t, client.WithReconnectInterval(time.Hour), client.WithMaxBackoff(50*time.Millisecond))
				var attempts []int
				var waits []time.Duration
				c.OnReconnect(func(attempt int, wait time.Duration, err error) {
					attempts, waits = append(attempts, attempt), append(waits, wait)
					require.Error(t, err)
					require.Equal(t, client.StateWaiting, c.State())
				})
				require.NoError(t, c.Connect())
				elapse(time.Second)
				got := srv.got()
				require.Len(t, got, 6)
				for i, most := range []time.Duration{40, 50, 50, 50, 50} {
					wait := got[i+1].at.Sub(got[i].at)
					require.GreaterOrEqual(t, wait, 40*time.Millisecond)
					require.Less(t, wait, (40+most)*time.Millisecond)
					require.Equal(t, wait, waits[i])
				}
				require.Equal(t, []int{2, 3, 4, 5, 6}, attempts, "the first connection was none that counts as healthy")
			})
		})
	}
}

// A "retry:" that nobody can mean is waited for a day.
func TestRetryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, stream("retry: 99999999999999999999\n\n"), streamAndStay(""))
		require.NoError(t, srv.newClient(t, client.WithMaxBackoff(1)).Connect())
		elapse(client.MaxWait - time.Second)
		require.Len(t, srv.got(), 1)
		elapse(time.Minute)
		require.Len(t, srv.got(), 2)
	})
}

// A server that takes connections only to drop them must not be hammered; one
// whose connections work is come back to quickly.
func TestBackoffResetsAfterHealthyStream(t *testing.T) {
	const rounds = 16 // the last wait is up to 2^15 s if nothing resets it
	elapsed := func(t *testing.T, healthy http.HandlerFunc) (total, last time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			turns := []http.HandlerFunc{stream("")}
			for range rounds - 1 {
				turns = append(turns, stream(": hello\n\nretry: 1000\n\n"))
			}
			srv := newServer(t, append(turns, healthy, streamAndStay(""))...)
			c := srv.newClient(t, client.WithReconnectInterval(time.Second), client.WithMaxBackoff(12*time.Hour), client.WithStableTime(12*time.Hour))
			ended := make(chan time.Time, rounds+1)
			c.OnError(func(error) { ended <- time.Now() })
			require.NoError(t, c.Connect())
			elapse(15 * 24 * time.Hour)
			got := srv.got()
			require.Len(t, got, rounds+2)
			var end time.Time
			for range rounds + 1 {
				end = <-ended
			}
			total = got[rounds].at.Sub(got[0].at)
			last = got[rounds+1].at.Sub(end)
		})
		return total, last
	}
	for name, healthy := range map[string]http.HandlerFunc{
		"an event":       stream("data: x\n\n"),
		"open for long":  streamEvery(6*time.Hour, 2, ": hb\n\n"),
		"event and long": streamEvery(6*time.Hour, 2, "data\n\n"),
	} {
		t.Run(name, func(t *testing.T) {
			total, last := elapsed(t, healthy)
			// Chances to fail by accident are far below one in a million.
			require.Greater(t, total, time.Minute, "unhealthy connections don't reset the backoff")
			require.LessOrEqual(t, last, 2*time.Second, "a healthy one does")
		})
	}
}

// Statuses that a second try may change are retried; the others end the client.
func TestReconnectStatuses(t *testing.T) {
	for code, retried := range map[int]bool{
		408: true, 425: true, 429: true, 500: true, 502: true, 503: true, 504: true,
		201: false, 304: false, 400: false, 401: false, 403: false, 404: false, 409: false, 410: false, 422: false,
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, stream("id: 7\ndata: x\n\n"), status(code), streamAndStay(""))
				c := srv.newClient(t)
				require.NoError(t, c.Connect())
				if retried {
					elapse(time.Hour)
					require.Len(t, srv.got(), 3)
					require.Equal(t, 1, srv.streams())
					require.NoError(t, c.Err())
					return
				}
				<-c.Wait()
				wantStatus(t, code, c.Err())
				require.Len(t, srv.got(), 2)
			})
		})
	}
}

func TestReconnectStopsOn204(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newServer(t, stream("data: x\n\n"), status(204)).newClient(t)
		require.NoError(t, c.Connect())
		<-c.Wait()
		wantStatus(t, 204, c.Err())
	})
}

func TestReconnectStopsOnContentType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newServer(t, stream("data: x\n\n"), status(200, "Content-Type", "text/html")).newClient(t)
		require.NoError(t, c.Connect())
		<-c.Wait()
		require.ErrorIs(t, c.Err(), client.ErrContentType)
	})
}

// An event over the bound would only come again.
func TestEventTooLargeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, streamAndStay("id: 1\ndata: "+strings.Repeat("x", 50)+"\n\nid: 2\ndata: "+strings.Repeat("x", 101)+"\n"))
		c := srv.newClient(t, client.WithMaxEventSize(100))
		require.NoError(t, c.Connect())
		<-c.Wait()
		require.ErrorIs(t, c.Err(), wire.ErrEventTooLarge)
		require.Equal(t, "1", c.LastEventID())
		require.Len(t, srv.got(), 1)
	})
}

func TestRetryAfter(t *testing.T) {
	date := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for name, tc := range map[string]struct {
		code     int
		headers  func() []string
		from, to time.Duration // of the wait: jitter of up to 1 s, dates of whole seconds
	}{
		"seconds with 503":         {503, func() []string { return []string{"Retry-After", "120"} }, 120 * time.Second, 121 * time.Second},
		"seconds with 429":         {429, func() []string { return []string{"Retry-After", "7"} }, 7 * time.Second, 8 * time.Second},
		"seconds with 500":         {500, func() []string { return []string{"Retry-After", "120"} }, 500 * time.Millisecond, 1500 * time.Millisecond},
		"far too many seconds":     {503, func() []string { return []string{"Retry-After", "18446744073709551615"} }, time.Hour, time.Hour + time.Second},
		"more than a number holds": {503, func() []string { return []string{"Retry-After", "99999999999999999999"} }, time.Hour, time.Hour + time.Second},
		"negative seconds":         {503, func() []string { return []string{"Retry-After", "-5"} }, 500 * time.Millisecond, 1500 * time.Millisecond},
		"nonsense":                 {503, func() []string { return []string{"Retry-After", "soon"} }, 500 * time.Millisecond, 1500 * time.Millisecond},
		"date":                     {503, func() []string { return []string{"Retry-After", date(time.Minute)} }, 59 * time.Second, 62 * time.Second},
		"date of a slow clock": {503, func() []string {
			return []string{"Retry-After", date(time.Minute - time.Hour), "Date", date(-time.Hour)}
		}, time.Minute, 61 * time.Second},
		"date in the past":       {503, func() []string { return []string{"Retry-After", date(-time.Minute)} }, 500 * time.Millisecond, 1500 * time.Millisecond},
		"date without a clock":   {503, func() []string { return []string{"Retry-After", date(time.Minute), "Date", "?"} }, 59 * time.Second, 62 * time.Second},
		"date in another age":    {503, func() []string { return []string{"Retry-After", date(1e5 * time.Hour)} }, time.Hour, time.Hour + time.Second},
		"nothing":                {503, func() []string { return nil }, 500 * time.Millisecond, 1500 * time.Millisecond},
		"longer than maxBackoff": {503, func() []string { return []string{"Retry-After", "3000"} }, 3000 * time.Second, 3001 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				refuse := func(w http.ResponseWriter, r *http.Request) { status(tc.code, tc.headers()...)(w, r) }
				srv := newServer(t, stream("data: x\n\n"), refuse, streamAndStay(""))
				c := srv.newClient(t, client.WithReconnectInterval(500*time.Millisecond))
				require.NoError(t, c.Connect())
				elapse(2 * time.Hour)
				got := srv.got()
				require.Len(t, got, 3)
				wait := got[2].at.Sub(got[1].at)
				require.GreaterOrEqual(t, wait, tc.from)
				require.LessOrEqual(t, wait, tc.to)
			})
		})
	}
}

func TestRetryAfterOfFirstConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newServer(t, status(429, "Retry-After", "7")).newClient(t)
		err := wantStatus(t, 429, c.Connect())
		require.Equal(t, 7*time.Second, err.RetryAfter)
		require.True(t, err.Temporary())
	})
}

// A connection on which nothing comes is given up, with or without a response.
func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t,
			streamEvery(50*time.Second, 100, ": hb\n\n"), // kept by its comments
			streamAndStay("data: x\n\n"),                 // silent after one event
			silence,
			streamAndStay(""))
		c := srv.newClient(t, client.WithIdleTimeout(time.Minute), client.WithReconnectInterval(time.Nanosecond), client.WithMaxBackoff(time.Nanosecond))
		var lost []error
		c.OnError(func(err error) { lost = append(lost, err) })
		// A slow callback is not a silent server.
		c.OnEvent("message", func(*wire.Event) { elapse(time.Hour) })
		begin := time.Now()
		require.NoError(t, c.Connect())
		elapse(5000*time.Second + time.Hour + 150*time.Second)
		got := srv.got()
		require.Len(t, got, 4)
		require.EqualValues(t, 5000, got[1].at.Sub(begin).Seconds())
		require.EqualValues(t, 5000+3600+60, int(got[2].at.Sub(begin).Seconds()))
		require.EqualValues(t, 5000+3600+120, int(got[3].at.Sub(begin).Seconds()))
		require.Len(t, lost, 3)
		require.ErrorIs(t, lost[0], client.ErrStreamEnd)
		require.ErrorIs(t, lost[1], client.ErrIdle, "the stream")
		require.ErrorIs(t, lost[2], client.ErrIdle, "the attempt")
	})
}

// A peer that is gone without a word is noticed by default, and never where that
// is switched off.
func TestIdleTimeoutByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, streamAndStay("data: x\n\n"))
		begin := time.Now()
		lost := make(chan error, 1)
		c := srv.newClient(t, client.WithIdleTimeout(0))
		c.OnError(func(err error) { lost <- err })
		require.NoError(t, c.Connect())
		require.ErrorIs(t, <-lost, client.ErrIdle)
		require.Equal(t, client.DefaultIdleTimeout, time.Since(begin))
		c.Disconnect()
	})
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, streamAndStay("data: x\n\n"))
		require.NoError(t, srv.newClient(t, client.WithIdleTimeout(-1)).Connect())
		elapse(24 * time.Hour)
		require.Len(t, srv.got(), 1)
	})
}

func TestIdleTimeoutOfFirstConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		c := newServer(t, silence).newClient(t, client.WithIdleTimeout(time.Minute))
		require.ErrorIs(t, c.Connect(), client.ErrIdle)
		require.Equal(t, time.Minute, time.Since(begin))
	})
}

// Hooks and callbacks share one order.
func TestHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, stream(": a\ndata: 1\n\n:b\n"), status(500), stream("data: 2\n\nevent: close\ndata\n\n"))
		c := srv.newClient(t, onClose, client.WithReconnectInterval(0))
		var got []string
		c.OnOpen(func(h http.Header) { got = append(got, "open "+h.Get("Content-Type")) })
		c.OnError(func(err error) { got = append(got, fmt.Sprint("error ", err)) })
		c.OnReconnect(func(attempt int, _ time.Duration, err error) { got = append(got, fmt.Sprint("reconnect ", attempt)) })
		c.OnComment(func(text string) { got = append(got, "comment "+text) })
		c.OnEvent("message", func(e *wire.Event) { got = append(got, e.Data.(string)) })
		require.NoError(t, c.Connect())
		<-c.Wait()
		require.Equal(t, []string{
			"open text/event-stream; charset=utf-8", "comment a", "1", "comment b",
			"error client: http://hub.test/events: the server ended the stream", "reconnect 1",
			"error client: http://hub.test/events: the server answered 500 Internal Server Error", "reconnect 2",
			"open text/event-stream; charset=utf-8", "2",
		}, got)
	})
}

// What a dead connection says is passed on.
func TestBrokenConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := func(w http.ResponseWriter, _ *http.Request) {
			write(w, "data: x\n\n")
			panic(http.ErrAbortHandler)
		}
		srv := newServer(t, broken, streamAndStay(""))
		c := srv.newClient(t)
		var lost error
		c.OnError(func(err error) { lost = err })
		require.NoError(t, c.Connect())
		elapse(time.Minute)
		require.ErrorContains(t, lost, "unexpected EOF")
		require.Len(t, srv.got(), 2)
	})
}
