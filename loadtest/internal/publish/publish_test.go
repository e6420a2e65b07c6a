package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/loadtest/internal/adapter"
	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/clock"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/publish"
	"github.com/spatehub/spate/loadtest/stamp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api records what is pushed to it.
type api struct {
	mu     sync.Mutex
	stamps []stamp.Stamp
	sizes  []int // events in each request
	answer http.HandlerFunc
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct{ Events []struct{ Data string } }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	a.sizes = append(a.sizes, len(body.Events))
	for _, e := range body.Events {
		s, _ := stamp.Parse([]byte(e.Data))
		a.stamps = append(a.stamps, s)
	}
	a.mu.Unlock()
	if a.answer != nil {
		a.answer(w, r)
	}
}

// send publishes by a configuration and returns when it began.
func send(t *testing.T, url string, change func(c *config.Config)) (*publish.Publisher, *check.Ledger, int64, error) {
	t.Helper()
	c := config.Default()
	c.URL, c.Users, c.Topics, c.Connections, c.Rate, c.Events = url, 5, 5, 1, "1000/s", 20
	change(&c)
	require.NoError(t, c.Normalize())
	a, err := adapter.New(&c)
	require.NoError(t, err)
	l, clk := check.NewLedger(c.Space()), clock.New()
	p, err := publish.New(&c, a, l, clk, 7)
	require.NoError(t, err)
	begin := clk.Now()
	return p, l, begin, p.Run(t.Context(), begin)
}

// However long a push takes, events carry the time they were due at.
func TestSlowServerDoesNotMoveDueTimes(t *testing.T) {
	first := true
	a := &api{}
	a.answer = func(w http.ResponseWriter, r *http.Request) {
		if first { // requests come one after the other
			first = false
			select {
			case <-time.After(50 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
	}
	srv := httptest.NewServer(a)
	defer srv.Close()
	p, _, begin, err := send(t, srv.URL, func(*config.Config) {})
	require.NoError(t, err)
	require.Len(t, a.stamps, 20)
	for i, s := range a.stamps {
		require.Equal(t, begin+int64(i)*int64(time.Millisecond), s.Sent)
		require.EqualValues(t, i+1, s.Seq)
	}
	s := p.Collect()
	require.EqualValues(t, 20, s.Events)
	require.Greater(t, s.Behind.Max(), int64(40*time.Millisecond))
	require.Zero(t, p.Collect().Events, "everything was collected")
}

// Events that are due go together, as far as one request can carry them, and
// each keeps its own number and due time.
func TestBatches(t *testing.T) {
	a := &api{}
	srv := httptest.NewServer(a)
	defer srv.Close()
	_, l, begin, err := send(t, srv.URL, func(c *config.Config) { c.Rate, c.Batch, c.Events = "burst:n=50,every=1h", 20, 50 })
	require.NoError(t, err)
	require.Equal(t, []int{20, 20, 10}, a.sizes)
	for i, s := range a.stamps {
		require.Equal(t, begin, s.Sent)
		require.EqualValues(t, i+1, s.Seq)
	}
	require.EqualValues(t, 50, l.Total())
}

// With several addressees, each has numbers of its own, without holes.
func TestMixedAddressees(t *testing.T) {
	a := &api{}
	srv := httptest.NewServer(a)
	defer srv.Close()
	_, _, _, err := send(t, srv.URL, func(c *config.Config) {
		c.To, c.Batch, c.Connections, c.Events, c.Rate = "broadcast,users,topics", 10, 3, 300, "max"
	})
	require.NoError(t, err)
	type cell struct {
		lane  uint32
		kind  stamp.Kind
		index uint32
	}
	next, kinds := map[cell]uint64{}, map[stamp.Kind]int{}
	for _, s := range a.stamps {
		c := cell{s.Lane, s.Kind, s.Index}
		next[c]++
		require.Equal(t, next[c], s.Seq, "%+v", c)
		kinds[s.Kind]++
	}
	require.Len(t, a.stamps, 300)
	for _, k := range []stamp.Kind{stamp.Broadcast, stamp.User, stamp.Topic} {
		require.Greater(t, kinds[k], 50)
	}
}

// Whatever form the answer has, the connection goes on or is replaced.
func TestAnswersOfAllForms(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"empty":      func(http.ResponseWriter, *http.Request) {},
		"no content": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"length":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"ids":["1"]}`)) },
		"chunked": func(w http.ResponseWriter, _ *http.Request) {
			for range 20 {
				_, _ = w.Write([]byte(strings.Repeat("x", 5000)))
				_ = http.NewResponseController(w).Flush()
			}
		},
		"closing": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
		"until closed": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody")
				_ = conn.Close()
			}
		},
	} {
		srv := httptest.NewServer(&api{answer: answer})
		p, _, _, err := send(t, srv.URL, func(*config.Config) {})
		srv.Close()
		require.NoError(t, err, name)
		s := p.Collect()
		require.EqualValues(t, 20, s.Events, name)
		require.Empty(t, s.Errors, name)
	}
}

// A failing server is counted by kind, its events are void, and a server that
// never accepted anything ends the run.
func TestFailures(t *testing.T) {
	hangUp := func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
	}
	junk := func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = io.WriteString(conn, "220 mail\r\n")
			_ = conn.Close()
		}
	}
	for kind, answer := range map[string]http.HandlerFunc{
		"push: status 503":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"push: connection closed": hangUp,
		"push: not HTTP/1.1":      junk,
		"push: timed out":         func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		srv := httptest.NewServer(&api{answer: answer})
		timeout := time.Minute
		if kind == "push: timed out" {
			timeout = 50 * time.Millisecond
		}
		p, l, _, err := send(t, srv.URL, func(c *config.Config) { c.Events, c.ConnectTimeout = 2, timeout })
		srv.CloseClientConnections()
		srv.Close()
		require.NoError(t, err, kind)
		s := p.Collect()
		require.Equal(t, map[string]int64{kind: 2}, s.Errors)
		require.EqualValues(t, 2, s.Failed)
		c := check.Clients(l.Space, 1, 0, func(int) (uint32, uint32) { return 0, 0 })
		far := check.NewLedger(l.Space)
		c[0].Joined(far, false)
		require.Zero(t, c[0].Finish(l, p.Voids()).Total(), "nobody is owed a failed event")
	}

	srv := httptest.NewServer(&api{answer: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no key", http.StatusForbidden) }})
	defer srv.Close()
	_, _, _, err := send(t, srv.URL, func(*config.Config) {})
	var refused *publish.RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusForbidden, refused.Status)
	require.Equal(t, "no key", refused.Text)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, _, _, err = send(t, "http://"+l.Addr().String(), func(*config.Config) {})
	require.ErrorAs(t, err, &refused)
	require.Error(t, errors.Unwrap(refused))
}

// The end of its context ends a publisher that waits for the next event.
func TestContextEndsTheWait(t *testing.T) {
	srv := httptest.NewServer(&api{})
	defer srv.Close()
	c := config.Default()
	c.URL, c.Rate, c.Duration = srv.URL, "burst:n=1,every=1h", 24*time.Hour
	require.NoError(t, c.Normalize())
	a, err := adapter.New(&c)
	require.NoError(t, err)
	clk := clock.New()
	p, err := publish.New(&c, a, check.NewLedger(c.Space()), clk, 7)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.NoError(t, p.Run(ctx, clk.Now()))
	require.EqualValues(t, 1, p.Collect().Events)
}

// Of several servers that are one, each publisher goes round all, one push after the
// other, under the name of the first.
func TestServersTakeTurns(t *testing.T) {
	var hubs [3]api
	var addrs []string
	var names sync.Map
	for i := range hubs {
		hubs[i].answer = func(_ http.ResponseWriter, r *http.Request) { names.Store(r.Host, true) }
		srv := httptest.NewServer(&hubs[i])
		t.Cleanup(srv.Close)
		addrs = append(addrs, srv.URL)
	}
	p, l, _, err := send(t, "", func(c *config.Config) {
		require.NoError(t, c.SetURLs(strings.Join(addrs, ",")))
		c.Connections, c.Events = 2, 60
	})
	require.NoError(t, err)
	require.EqualValues(t, 60, p.Collect().Events)
	require.EqualValues(t, 60, l.Total())
	seen := map[[2]uint64]int{} // by lane and number: the hub
	for i := range hubs {
		for _, s := range hubs[i].stamps {
			at := [2]uint64{uint64(s.Lane), s.Seq}
			require.NotContains(t, seen, at)
			seen[at] = i
		}
	}
	require.Len(t, seen, 60)
	for at, hub := range seen {
		require.Equal(t, int(at[0]+at[1]-1)%3, hub, "lane %d, event %d", at[0], at[1])
	}
	var got []string
	names.Range(func(k, _ any) bool { got = append(got, k.(string)); return true })
	require.Equal(t, []string{strings.TrimPrefix(addrs[0], "http://")}, got)
}

// A server of several that is down fails its turns by name and no others; when none is
// up, that is said at once.
func TestOneOfSeveralServersIsDown(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	up := &api{}
	srv := httptest.NewServer(up)
	defer srv.Close()
	several := func(urls ...string) func(c *config.Config) {
		return func(c *config.Config) { require.NoError(t, c.SetURLs(strings.Join(urls, ","))) }
	}
	p, _, _, err := send(t, "", several(gone.URL, srv.URL))
	require.NoError(t, err)
	s := p.Collect()
	require.EqualValues(t, 10, s.Events)
	require.Equal(t, map[string]int64{"push to " + strings.TrimPrefix(gone.URL, "http://") + ": connection refused": 10}, s.Errors)
	require.Len(t, up.stamps, 10)

	gone2 := httptest.NewServer(nil)
	gone2.Close()
	_, _, _, err = send(t, "", several(gone.URL, gone2.URL))
	var refused *publish.RefusedError
	require.ErrorAs(t, err, &refused)
}

// A push API of its own is the only one that is used.
func TestPushURLBesideSeveralServers(t *testing.T) {
	other := &api{}
	srv := httptest.NewServer(other)
	defer srv.Close()
	p, _, _, err := send(t, "", func(c *config.Config) {
		require.NoError(t, c.SetURLs("http://127.0.0.1:1,http://127.0.0.1:2"))
		c.PushURL = srv.URL + "/push"
	})
	require.NoError(t, err)
	require.EqualValues(t, 20, p.Collect().Events)
	require.Len(t, other.stamps, 20)
}
