package stream_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

const greeting = ": spate\nretry: 3000\n"

// Head, first comment and retry go out at once, before there is any event.
func TestHeadAndGreetingAtOnce(t *testing.T) {
	each(t, setup{}, func(t *testing.T, s *site) {
		st := s.open("")
		require.Equal(t, http.StatusOK, st.resp.StatusCode)
		h := st.resp.Header
		require.Equal(t, "text/event-stream", h.Get("Content-Type"))
		require.Equal(t, "no-cache, no-transform", h.Get("Cache-Control"))
		require.Equal(t, "no", h.Get("X-Accel-Buffering"))
		require.Empty(t, h.Get("Content-Length"))
		_, err := http.ParseTime(h.Get("Date"))
		require.NoError(t, err)
		require.False(t, st.resp.Close, "or a broken stream looks like one that has ended")
		first := make([]byte, len(greeting))
		_, err = io.ReadFull(st.resp.Body, first)
		require.NoError(t, err)
		require.Equal(t, greeting, string(first))
	})
}

func TestEventsArriveInOrderWithIDs(t *testing.T) {
	each(t, setup{}, func(t *testing.T, s *site) {
		st := s.open("uid=u1&topic=a")
		var want []wire.Event
		for i := range 100 {
			e := wire.Event{Event: "tick", Data: fmt.Sprintf("%d %s\nsecond line", i, strings.Repeat("x", i*37)), Topic: "a"}
			ids, err := s.hub.Publish(context.Background(), []string{"u1", "u2"}, &e)
			require.NoError(t, err)
			want = append(want, wire.Event{ID: wire.FormatID(ids[0]), Event: "tick", Data: e.Data})
			require.NoError(t, s.hub.Push([]string{"u2"}, &wire.Event{Data: "not for u1"}))
			require.NoError(t, s.hub.Push([]string{"u1"}, &wire.Event{Data: "other topic", Topic: "b"}))
		}
		for _, w := range want {
			require.Equal(t, w, st.next())
		}
	})
}

// The start position is taken before the head is written, so nothing pushed
// after the client saw the head is missed, whenever the hub comes to know it.
func TestNothingAfterTheHeadIsMissed(t *testing.T) {
	each(t, setup{}, func(t *testing.T, s *site) {
		for i := range 30 {
			st := s.open("")
			s.push("", fmt.Sprint("first ", i))
			st.expect(fmt.Sprint("first ", i))
			st.close()
		}
	})
}

func TestResume(t *testing.T) {
	each(t, setup{}, func(t *testing.T, s *site) {
		ids := s.push("", "one", "two", "three", "four")

		byHeader := s.open("", "Last-Event-ID", ids[1])
		byHeader.expect("three", "four")

		byQuery := s.open("last_event_id=" + ids[2])
		byQuery.expect("four")

		both := s.open("last_event_id="+ids[0], "Last-Event-ID", ids[2])
		both.expect("four")

		upToDate := s.open("", "Last-Event-ID", ids[3])
		live := s.open("last_event_id=")
		s.push("", "five")
		for _, st := range []*follower{byHeader, byQuery, both, upToDate, live} {
			st.expect("five")
		}

		unknown := s.open("", "Last-Event-ID", "never issued")
		e := unknown.next()
		require.Equal(t, engine.GapEvent, e.Event)
		require.Contains(t, e.Data, "never issued")
	})
}

// Several connections of one user all get the user's events; closing one leaves
// the others alone.
func TestTwoTabs(t *testing.T) {
	each(t, setup{}, func(t *testing.T, s *site) {
		first, second := s.openBy(s.newClient(), "uid=u1"), s.openBy(s.newClient(), "uid=u1")
		other := s.open("uid=u2")
		s.online(3)
		s.push("u1", "both")
		first.expect("both")
		second.expect("both")
		first.close()
		s.online(2)
		s.push("u1", "the second")
		second.expect("the second")
		s.push("u2", "mine alone")
		other.expect("mine alone")
	})
}

// The server's ReadTimeout and WriteTimeout are for requests that end. That they
// have passed is seen by a connection that was opened later and cut.
func TestServerTimeoutsDoNotCutStreams(t *testing.T) {
	const limit = 400 * time.Millisecond
	with := setup{server: func(srv *http.Server) {
		srv.ReadTimeout, srv.WriteTimeout, srv.IdleTimeout = limit, limit, limit
	}}
	each(t, with, func(t *testing.T, s *site) {
		t.Parallel() // it waits
		st := s.open("")
		s.push("", "before")
		st.expect("before")
		late, err := net.Dial(s.server.Listener.Addr().Network(), s.server.Listener.Addr().String())
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, late) // until the server has had enough of it
		late.Close()
		s.push("", "after")
		st.expect("after")
		s.online(1)
	})
}

func TestHangupIsNoticed(t *testing.T) {
	each(t, setup{}, func(t *testing.T, s *site) {
		t.Run("FIN", func(t *testing.T) {
			st := s.open("")
			s.online(1)
			st.close()
			s.online(0)
		})
		if s.mode.unix {
			return
		}
		t.Run("RST", func(t *testing.T) {
			s.openBy(s.newClient(), "")
			s.online(1)
			s.mu.Lock()
			c := s.conns[len(s.conns)-1]
			s.mu.Unlock()
			require.NoError(t, c.(*net.TCPConn).SetLinger(0))
			c.Close()
			s.online(0)
		})
	})
}

// shrink makes the buffers of a connection small, so that a peer that does not
// read is noticed early.
func shrink(c net.Conn) {
	if b, ok := c.(interface{ SetWriteBuffer(int) error }); ok {
		_ = b.SetWriteBuffer(16 << 10)
	}
}

// A peer that takes no byte is closed after the stall time-out, and nobody else
// waits for it.
func TestStalledPeerIsClosed(t *testing.T) {
	with := setup{
		hub:     []engine.HubOption{engine.WithChanBufferSize(16384), engine.WithPolicy(engine.PolicyDropOldest)},
		options: []stream.Option{stream.WithStallTimeout(300 * time.Millisecond)},
		control: shrink,
	}
	each(t, with, func(t *testing.T, s *site) {
		s.openBy(s.newClient(), "uid=stalled") // never read
		healthy := s.openBy(s.newClient(), "uid=healthy")
		s.online(2)
		data := noise(16 << 10)
		for i := range 300 {
			s.push("stalled", data)
			s.push("healthy", fmt.Sprint(i))
			healthy.expect(fmt.Sprint(i))
		}
		// Enough for whatever the kernel and HTTP/2's windows take.
		require.Eventually(t, func() bool {
			_ = s.hub.Push([]string{"stalled"}, &wire.Event{Data: data})
			return s.hub.OnlineClientsNum() == 1
		}, patience, time.Millisecond)
		s.push("healthy", "still there")
		healthy.expect("still there")
	})
}

// A reader that lags gets everything once it reads, in order, as long as the
// hub's queue holds it.
func TestSlowReaderCatchesUp(t *testing.T) {
	with := setup{
		hub:     []engine.HubOption{engine.WithChanBufferSize(4096), engine.WithQueueBytes(64 << 20)},
		control: shrink,
	}
	each(t, with, func(t *testing.T, s *site) {
		st := s.open("")
		s.online(1)
		const events = 500
		pad := noise(8 << 10)
		for i := range events {
			s.push("", fmt.Sprintf("%d %s", i, pad))
		}
		for i := range events {
			st.expect(fmt.Sprintf("%d %s", i, pad))
		}
		s.push("", "live again")
		st.expect("live again")
	})
}

// Closing the hub flushes and ends every stream in good order.
func TestCloseEndsStreams(t *testing.T) {
	each(t, setup{}, func(t *testing.T, s *site) {
		streams := []*follower{s.open("uid=u1"), s.open("uid=u2"), s.openBy(s.newClient(), "")}
		s.push("", "first")
		for _, st := range streams {
			st.expect("first")
		}
		s.push("", "last")
		s.hub.Close()
		for _, st := range streams {
			st.expect("last")
			st.ended("closed")
		}
		resp, err := s.client.Get(s.url + "/events")
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
		require.NotEmpty(t, resp.Header.Get("Retry-After"))
	})
}

// http.Server.Shutdown waits for handlers, so it ends when the hub is closed on
// its behalf.
func TestServerShutdown(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			var s *site
			s = newSite(t, m, setup{server: func(srv *http.Server) {
				srv.RegisterOnShutdown(func() { s.hub.Close() })
			}})
			st := s.open("")
			s.online(1)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			require.NoError(t, s.server.Config.Shutdown(ctx))
			st.ended("closed")
			s.online(0)
		})
	}
}

// What middleware and the option put into the head arrives; no value of it can
// add a header or begin the body.
func TestHeadersAreKeptAndCannotInject(t *testing.T) {
	with := setup{
		options: []stream.Option{stream.WithExtraHeaders(map[string]string{
			"X-Extra":           "yes",
			"x-folded":          "a\r\nX-Evil: 1\r\n\r\ndata: evil\n\n",
			"Bad Name":          "no",
			"X-Evil\r\n":        "no",
			"Content-Length":    "5",
			"Content-Type":      "text/html",
			"Transfer-Encoding": "chunked",
			"X-Accel-Buffering": "yes",
			"Cache-Control":     "no-store",
		})},
		around: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Access-Control-Allow-Origin", "https://example.org")
				w.Header()["X-Lines"] = []string{"one\ntwo", "three\r\nX-Evil: 2"}
				w.Header().Set("X-Extra", "replaced")
				http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
				http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
				next.ServeHTTP(w, r)
			})
		},
	}
	each(t, with, func(t *testing.T, s *site) {
		st := s.open("")
		h := st.resp.Header
		require.Equal(t, "https://example.org", h.Get("Access-Control-Allow-Origin"))
		require.Equal(t, []string{"yes"}, h["X-Extra"])
		require.Len(t, h["Set-Cookie"], 2)
		require.Equal(t, "no-store", h.Get("Cache-Control"))
		require.Equal(t, "yes", h.Get("X-Accel-Buffering"))
		require.Equal(t, []string{"text/event-stream"}, h["Content-Type"])
		require.Empty(t, h.Values("X-Evil"))
		require.Empty(t, h.Get("Content-Length"))
		require.Contains(t, h.Get("X-Folded"), "X-Evil: 1", "as part of the value")
		if !s.mode.h2 { // whose server leaves such values out
			require.Len(t, h["X-Lines"], 2)
		}
		s.push("", "the only event")
		st.expect("the only event")
	})
}

// A head that is larger than the send buffer goes out whole before any event.
func TestLargeHead(t *testing.T) {
	big := strings.Repeat("x", 300<<10)
	with := setup{
		options: []stream.Option{stream.WithExtraHeaders(map[string]string{"X-Big": big})},
		control: shrink,
	}
	each(t, with, func(t *testing.T, s *site) {
		st := s.open("")
		require.Equal(t, len(big), len(st.resp.Header.Get("X-Big")))
		s.push("", "small")
		st.expect("small")
	})
}

// A hijacked connection that can't be taken over, and a raw one, read alike on
// the wire, byte for byte but for the date: over HTTP/1.1 in chunks, of which the
// last comes at the orderly end alone.
func TestRawBytesOnTheWire(t *testing.T) {
	for _, m := range []mode{modes[0], modes[2]} {
		for _, version := range []string{"1.0", "1.1"} {
			t.Run(m.name+"/"+version, func(t *testing.T) {
				s := newSite(t, m, setup{})
				c, err := net.Dial("tcp", s.server.Listener.Addr().String())
				require.NoError(t, err)
				defer c.Close()
				require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
				_, err = fmt.Fprintf(c, "GET /events HTTP/%s\r\nHost: x\r\n\r\n", version)
				require.NoError(t, err)
				r := bufio.NewReader(c)
				var head bytes.Buffer
				for {
					line, err := r.ReadString('\n')
					require.NoError(t, err)
					if !strings.HasPrefix(line, "Date: ") {
						head.WriteString(line)
					}
					if line == "\r\n" {
						break
					}
				}
				chunked, last := func(frame string) string { return frame }, ""
				coding := ""
				if version == "1.1" {
					chunked = func(frame string) string { return string(wire.AppendChunk(nil, []byte(frame))) }
					coding, last = "Transfer-Encoding: chunked\r\n", wire.LastChunk
				}
				require.Equal(t, "HTTP/"+version+" 200 OK\r\nCache-Control: no-cache, no-transform\r\n"+
					"Content-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n"+coding+"\r\n", head.String())
				ids := s.push("", "a\nb")
				want := chunked(greeting) + chunked("id: "+ids[0]+"\ndata: a\ndata: b\n\n")
				got := make([]byte, len(want))
				_, err = io.ReadFull(r, got)
				require.NoError(t, err)
				require.Equal(t, want, string(got))
				s.hub.Close()
				rest, err := io.ReadAll(r)
				require.NoError(t, err, "an orderly end")
				require.Equal(t, chunked("event: disconnect\ndata: {\"reason\":\"closed\"}\n\n")+last, string(rest))
			})
		}
	}
}
