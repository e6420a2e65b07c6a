//go:build linux

package rawreader_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/clock"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/fleet"
	"github.com/spatehub/spate/loadtest/internal/rawreader"
	"github.com/spatehub/spate/loadtest/internal/session"
	"github.com/spatehub/spate/loadtest/stamp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const run = 0xabc

// answering serves each connection with the given bytes, in pieces, and then
// keeps it open until the client closes it if hold is set.
func answering(t *testing.T, answer string, piece int, hold bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := c.Read(make([]byte, 4096)); err != nil {
					return
				}
				for rest := answer; rest != ""; rest = rest[min(piece, len(rest)):] {
					if _, err := c.Write([]byte(rest[:min(piece, len(rest))])); err != nil {
						return
					}
				}
				if hold {
					_, _ = c.Read(make([]byte, 1)) // until the client closes
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// open starts n streams to a server.
func open(t *testing.T, url string, n int, change func(c *config.Config)) (*rawreader.Transport, *check.Ledger) {
	t.Helper()
	tr, l := prepare(t, clock.New(), url, n, change)
	tr.Open(0, n)
	return tr, l
}

// prepare makes n streams to a server.
func prepare(t *testing.T, clk clock.Clock, url string, n int, change func(c *config.Config)) (*rawreader.Transport, *check.Ledger) {
	t.Helper()
	c := config.Default()
	c.URL, c.Streams, c.Connections, c.RunID, c.Adapter, c.Publish = url, n, 1, fmt.Sprintf("%x", run), "none", false
	c.Loops, c.Retry, c.ConnectTimeout, c.MaxEvent = min(2, n), time.Hour, 5*time.Second, 4096
	change(&c)
	require.NoError(t, c.Normalize())
	l := check.NewLedger(c.Space())
	p, err := fleet.NewPart(&c, l, clk, 0, n)
	require.NoError(t, err)
	addrs, err := fleet.NewAddresses(&c)
	require.NoError(t, err)
	tr, err := rawreader.New(p, addrs)
	require.NoError(t, err)
	t.Cleanup(tr.Close)
	return tr, l
}

// await collects until done.
func await(t *testing.T, tr *rawreader.Transport, done func(s *session.Stats) bool) *session.Stats {
	t.Helper()
	sum := &session.Stats{}
	require.Eventually(t, func() bool {
		tr.Collect(sum)
		return done(sum)
	}, 20*time.Second, time.Millisecond, "%+v %v", sum.Counters, sum.Errors)
	return sum
}

func frame(seq uint64) string {
	data := stamp.Append(nil, stamp.Stamp{Run: run, Kind: stamp.Broadcast, Seq: seq, Sent: time.Now().UnixNano(), Size: 120})
	return fmt.Sprintf("id: %d\ndata: %s\n\n", seq, data)
}

func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

const streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"

// Head, chunk sizes, chunks and events may be cut anywhere.
func TestBytesInAnyPieces(t *testing.T) {
	events := frame(1) + ": beat\n\n" + frame(2) + "event: gap\ndata: {}\n\n" + frame(3)
	for name, answer := range map[string]string{
		"identity":       streamHead + "\r\n" + events,
		"content-length": streamHead + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(events)) + events + "not read any more",
		"chunked":        streamHead + "Transfer-Encoding: chunked\r\n\r\n" + chunk(events[:7]) + chunk(events[7:200]) + chunk(events[200:]) + "0\r\n\r\n",
	} {
		for _, piece := range []int{1, 7, 1 << 20} {
			tr, _ := open(t, answering(t, answer, piece, true), 3, func(*config.Config) {})
			s := await(t, tr, func(s *session.Stats) bool { return s.Deliveries == 9 })
			require.EqualValues(t, 3, s.Opened, "%s by %d", name, piece)
			require.EqualValues(t, 3, s.Comments)
			require.EqualValues(t, 3, s.Gaps)
			require.EqualValues(t, 12, s.Events)
			require.Zero(t, s.Foreign)
			require.EqualValues(t, 9, s.Latency.Count())
			require.EqualValues(t, 3, s.TTFB.Count())
		}
	}
}

// Whatever a server answers instead, the stream fails with a kind that says so.
func TestKindsOfFailure(t *testing.T) {
	for answer, kind := range map[string]string{
		"":                                fleet.KindClosed,
		"SSH-2.0-x\r\n":                   "not HTTP/1.1",
		"HTTP/1.1 503 Busy\r\n\r\n":       "status 503",
		"HTTP/1.1 204 No Content\r\n\r\n": "status 204",
		"HTTP/1.1 200 OK\r\n\r\n":         "content-type missing",
		"HTTP/1.1 200 OK\r\nContent-Type: text/html; x=y\r\n\r\n":                                                   "content-type text/html",
		streamHead + "Content-Encoding: gzip\r\n\r\n":                                                               "content-encoding gzip",
		streamHead + "Content-Le":                                                                                   fleet.KindCut,
		streamHead + "Content-Length: 20\r\n\r\n" + "data: x\n\n":                                                   fleet.KindCut,
		streamHead + "Content-Length: 9\r\n\r\n" + "data: x\n\n":                                                    fleet.KindClosed,
		streamHead + "Transfer-Encoding: chunked\r\n\r\n" + chunk("data: x\n\n"):                                    fleet.KindCut,
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + "HTTP/1.1 429 Slow\r\n\r\n": "status 429",
		streamHead + "\r\n" + "data: x":                                                                             fleet.KindClosed,
		streamHead + "\r\n" + "data: " + strings.Repeat("x", 9000):                                                  fleet.KindTooLarge,
		streamHead + "Transfer-Encoding: chunked\r\n\r\n" + "zz\r\n":                                                "not HTTP/1.1",
		streamHead + "Transfer-Encoding: chunked\r\n\r\n" + chunk("data: x\n\n") + "0\r\n\r\n":                      fleet.KindClosed,
	} {
		tr, _ := open(t, answering(t, answer, 1<<20, false), 2, func(*config.Config) {})
		s := await(t, tr, func(s *session.Stats) bool { return len(s.Errors) > 0 })
		for got := range s.Errors {
			require.Equal(t, kind, got, "%.60q", answer)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	tr, _ := open(t, url, 1, func(*config.Config) {})
	s := await(t, tr, func(s *session.Stats) bool { return len(s.Errors) > 0 })
	require.Equal(t, map[string]int64{"connect: refused": 1}, s.Errors)
}

// A server that accepts and never answers is given up.
func TestSilentServer(t *testing.T) {
	tr, _ := open(t, answering(t, "HTTP/1.1 200 OK\r\n", 1<<20, true), 1, func(c *config.Config) { c.ConnectTimeout = 50 * time.Millisecond })
	s := await(t, tr, func(s *session.Stats) bool { return len(s.Errors) > 0 })
	require.Equal(t, map[string]int64{"response head: timed out": 1}, s.Errors)
}

// Dropped streams come back, each with a new descriptor of the same number or
// not, and Close gives every descriptor back.
func TestDescriptorsAreGivenBack(t *testing.T) {
	url := answering(t, streamHead+"\r\n"+frame(1), 1<<20, true)
	before := descriptors(t)
	t.Run("streams", func(t *testing.T) {
		tr, _ := open(t, url, 50, func(c *config.Config) { c.Slow, c.Stall = 0.1, 0.1 })
		all := make([]int, 50)
		for i := range all {
			all[i] = i
		}
		want := int64(50)
		sum := &session.Stats{}
		for range 5 {
			require.Eventually(t, func() bool {
				tr.Collect(sum)
				return sum.Opened == want
			}, 20*time.Second, time.Millisecond)
			tr.Drop(all, time.Millisecond)
			want += 50
		}
		require.Zero(t, sum.Disconnects)
	})
	require.Eventually(t, func() bool { return descriptors(t) <= before }, 20*time.Second, time.Millisecond,
		"the server closes its ends too")
}

func descriptors(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(list)
}

// A stream takes little memory: it is what lets one process hold very many.
func TestStreamIsSmall(t *testing.T) {
	require.LessOrEqual(t, rawreader.StreamSize, uintptr(768))
}

// Reading and checking an event allocates nothing.
func TestNoAllocationPerEvent(t *testing.T) {
	c := config.Default()
	c.URL, c.Streams, c.RunID, c.Users, c.Connections = "http://h", 1, "abc", 1, 1
	l := check.NewLedger(c.Space())
	p, err := fleet.NewPart(&c, l, clock.New(), 0, 1)
	require.NoError(t, err)
	var s session.Session
	p.Sessions(func(_ int, made session.Session) { s = made })
	r := session.NewReader(p.Env)
	r.Begin(&s, 1)
	r.Joined(&s, 2)
	seq := uint64(0)
	var b []byte
	feed := func() {
		b = b[:0]
		for range 4 {
			seq++
			b = append(b, "id: 77\ndata: "...)
			b = stamp.Append(b, stamp.Stamp{Run: run, Kind: stamp.Broadcast, Seq: seq, Sent: 1, Size: 200})
			b = append(b, "\n\n"...)
		}
		// Cut in the middle of an event, as reads do.
		require.NoError(t, r.Feed(&s, b[:300], 2))
		require.NoError(t, r.Feed(&s, b[300:], 2))
	}
	feed()
	require.Zero(t, testing.AllocsPerRun(100, feed))
	require.EqualValues(t, seq, r.Stats.Deliveries)
}

// BenchmarkFeed is the cost of one event without system calls.
func BenchmarkFeed(b *testing.B) {
	c := config.Default()
	c.URL, c.Streams, c.RunID, c.Users, c.Connections = "http://h", 1, "abc", 1, 1
	p, err := fleet.NewPart(&c, check.NewFarLedger(c.Space()), clock.New(), 0, 1)
	require.NoError(b, err)
	const events = 1000
	var buf []byte
	for seq := range uint64(events) {
		buf = fmt.Appendf(buf, "id: %d\nevent: message\ndata: %s\n\n", seq, stamp.Append(nil, stamp.Stamp{Run: run, Kind: stamp.Broadcast, Seq: seq + 1, Sent: 1, Size: 200}))
	}
	var s session.Session
	r := session.NewReader(p.Env)
	b.ReportAllocs()
	for i := 0; i < b.N; i += events {
		p.Sessions(func(_ int, made session.Session) { s.Check = made.Check })
		r.Joined(&s, 2)
		if err := r.Feed(&s, buf, 3); err != nil {
			b.Fatal(err)
		}
	}
	require.Zero(b, r.Stats.Disorder+r.Stats.Duplicates+r.Stats.Corrupt)
}
