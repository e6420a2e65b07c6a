package portable_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/clock"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/fleet"
	"github.com/spatehub/spate/loadtest/internal/portable"
	"github.com/spatehub/spate/loadtest/internal/session"
	"github.com/spatehub/spate/loadtest/stamp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const run = 0xabc

// serve answers every request by h.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// open starts n streams to a server.
func open(t *testing.T, url string, n int, change func(c *config.Config)) *portable.Transport {
	t.Helper()
	c := config.Default()
	c.URL, c.Streams, c.Connections, c.RunID, c.Adapter, c.Publish = url, n, 1, fmt.Sprintf("%x", run), "none", false
	c.Mode, c.Retry, c.ConnectTimeout, c.MaxEvent = config.ModePortable, time.Hour, 5*time.Second, 4096
	change(&c)
	require.NoError(t, c.Normalize())
	p, err := fleet.NewPart(&c, check.NewLedger(c.Space()), clock.New(), 0, n)
	require.NoError(t, err)
	addrs, err := fleet.NewAddresses(&c)
	require.NoError(t, err)
	tr, err := portable.New(p, addrs)
	require.NoError(t, err)
	t.Cleanup(tr.Close)
	tr.Open(0, n)
	return tr
}

// await collects until done.
func await(t *testing.T, tr *portable.Transport, done func(s *session.Stats) bool) *session.Stats {
	t.Helper()
	sum := &session.Stats{}
	require.Eventually(t, func() bool {
		tr.Collect(sum)
		return done(sum)
	}, 20*time.Second, time.Millisecond)
	return sum
}

// stream writes text and stays, or ends.
func stream(text string, stay bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, text)
		w.(http.Flusher).Flush()
		if stay {
			<-r.Context().Done()
		}
	}
}

// All that arrives is counted: stamps, comments, gaps, a hub's last word, bytes.
func TestWhatArrivesIsCounted(t *testing.T) {
	data := stamp.Append(nil, stamp.Stamp{Run: run, Kind: stamp.Broadcast, Seq: 1, Sent: time.Now().UnixNano(), Size: 120})
	text := fmt.Sprintf("id: 1\ndata: %s\n\n: beat\n\nevent: gap\ndata: {}\n\nevent: disconnect\ndata: {\"reason\":\"closed\"}\n\n", data)
	tr := open(t, serve(t, stream(text, true)), 3, func(*config.Config) {})
	s := await(t, tr, func(s *session.Stats) bool { return s.Events == 9 })
	require.EqualValues(t, 3, s.Opened)
	require.EqualValues(t, 3, s.Deliveries)
	require.EqualValues(t, 3, s.Comments)
	require.EqualValues(t, 3, s.Gaps)
	require.EqualValues(t, 3, s.Foreign)
	require.EqualValues(t, 3*len(text), s.Bytes)
	require.EqualValues(t, 3, s.Latency.Count())
	require.EqualValues(t, 3, s.TTFB.Count())
	require.Empty(t, s.Errors)
}

// Whatever a server answers instead, the stream fails with a kind that says so, the
// same as of the raw reader.
func TestKindsOfFailure(t *testing.T) {
	answer := func(code int, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(headers); i += 2 {
				w.Header()[headers[i]] = []string{headers[i+1]}
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "data: x\n\n")
		}
	}
	const kind, coding, events = "Content-Type", "Content-Encoding", "text/event-stream"
	for name, tc := range map[string]struct {
		h    http.HandlerFunc
		want string
	}{
		"503":         {answer(503), "status 503"},
		"redirect":    {answer(302, "Location", "/"), "status 302"},
		"page":        {answer(200, kind, "text/html; x=y"), "content-type text/html"},
		"gzip":        {answer(200, kind, events, coding, "gzip"), "content-encoding gzip"},
		"br":          {answer(200, kind, events, coding, "br"), "content-encoding br"},
		"end":         {stream("data: x\n\n", false), fleet.KindClosed},
		"end in word": {stream("data: x", false), fleet.KindClosed},
		"told end":    {stream("event: disconnect\ndata: {\"reason\":\"closed\"}\n\n", false), fleet.KindClosed},
		"cut": {func(w http.ResponseWriter, r *http.Request) {
			stream("data: x\n\n", false)(w, r)
			panic(http.ErrAbortHandler)
		}, fleet.KindCut},
		"too large": {stream("data: "+strings.Repeat("x", 9000), true), fleet.KindTooLarge},
		"silent":    {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "response head: timed out"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := open(t, serve(t, tc.h), 2, func(c *config.Config) {
				if name == "silent" {
					c.ConnectTimeout = 50 * time.Millisecond
				}
			})
			s := await(t, tr, func(s *session.Stats) bool { return len(s.Errors) > 0 })
			require.Contains(t, s.Errors, tc.want)
			require.Len(t, s.Errors, 1)
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	s := await(t, open(t, "http://"+l.Addr().String(), 1, func(*config.Config) {}), func(s *session.Stats) bool { return len(s.Errors) > 0 })
	require.Equal(t, map[string]int64{"connect: refused": 1}, s.Errors)
}

// A stream comes back with the ID that it had last, or without where that is asked
// for.
func TestResume(t *testing.T) {
	for resume, want := range map[bool]string{true: "7", false: ""} {
		ids := make(chan string, 100)
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			select {
			case ids <- r.Header.Get("Last-Event-ID"):
			default:
			}
			stream("id: 7\ndata: x\n\n", false)(w, r)
		})
		tr := open(t, url, 1, func(c *config.Config) { c.Resume, c.Retry = resume, time.Millisecond })
		await(t, tr, func(s *session.Stats) bool { return s.Opened >= 2 })
		require.Empty(t, <-ids)
		require.Equal(t, want, <-ids)
		tr.Close()
	}
}

// A slow stream takes what its rate allows, a stalled one nothing.
func TestSlowAndStalledStreams(t *testing.T) {
	beats := strings.Repeat(": "+strings.Repeat("x", 61)+"\n", 1000)
	for name, change := range map[string]func(c *config.Config){
		"slow":    func(c *config.Config) { c.Slow, c.SlowRate = 1, 1280 }, // 64 bytes at a tick
		"stalled": func(c *config.Config) { c.Stall = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			tr := open(t, serve(t, stream(beats, true)), 1, change)
			if name == "slow" {
				s := await(t, tr, func(s *session.Stats) bool { return s.Bytes >= 256 })
				ticks := int64(time.Since(begin)/(50*time.Millisecond)) + 1
				require.LessOrEqual(t, s.Bytes, ticks*64)
				return
			}
			s := await(t, tr, func(s *session.Stats) bool { return s.Opened == 1 })
			require.Zero(t, s.Bytes)
		})
	}
}
