package limit_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/limit"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// limited requires an answer of the gate.
func limited(t *testing.T, err error, status int, what string, after time.Duration) {
	t.Helper()
	var e *stream.Error
	require.True(t, errors.As(err, &e), "%v", err)
	require.Equal(t, status, e.Status)
	require.Contains(t, e.Message, what)
	require.Equal(t, after, e.RetryAfter)
}

func post(remote string) *http.Request {
	r := from(remote)
	r.Method = http.MethodPost
	return r
}

func TestGateConnections(t *testing.T) {
	g := limit.NewGate(limit.Config{All: limit.Bounds{Connections: 5}, User: limit.Bounds{Connections: 2}, Addr: limit.Bounds{Connections: 3}})
	a, b, c := from("192.0.2.1:1"), from("192.0.2.2:1"), from("192.0.2.3:1")
	enter := func(r *http.Request, user string, own int) (func(), error) {
		return g.Enter(r, &stream.Grant{User: user, Limits: stream.Limits{Connections: own}})
	}
	must := func(leave func(), err error) func() {
		t.Helper()
		require.NoError(t, err)
		return leave
	}
	first := must(enter(a, "tom", 0))
	must(enter(b, "tom", 0))
	_, err := enter(c, "tom", 0)
	limited(t, err, 429, "user has 2", 5*time.Second)
	must(enter(a, "ann", 1))
	_, err = enter(a, "ann", 1) // a grant's own limit
	limited(t, err, 429, "user has 1", 5*time.Second)
	must(enter(a, "", 0))
	_, err = enter(a, "eve", 0)
	limited(t, err, 429, "address has 3", 5*time.Second)
	require.Equal(t, 4, g.Streams())
	last := must(enter(b, "eve", 3))
	require.Equal(t, 5, g.Streams())
	limited(t, g.Knock(c), 503, "too many connections", 5*time.Second)
	require.NoError(t, g.Knock(post("192.0.2.3:1")), "a push is no connection")
	_, err = enter(c, "bob", 0)
	limited(t, err, 503, "too many connections", 5*time.Second)
	last()
	first()
	require.NoError(t, g.Knock(c))
	must(enter(a, "tom", 0)) // what was refused took nothing
	must(enter(c, "bob", 0))
	require.Equal(t, 5, g.Streams())
}

func TestGateRates(t *testing.T) {
	now := begin
	c := limit.Config{
		Requests: limit.Rate{PerSecond: 1, Burst: 2},
		User: limit.Bounds{Connects: limit.Rate{PerSecond: 1, Burst: 1},
			PushEvents: limit.Rate{PerSecond: 10, Burst: 20}, PushBytes: limit.Rate{PerSecond: 1000}},
	}
	c.SetClock(func() time.Time { return now })
	g := limit.NewGate(c)
	a, b := from("[2001:db8::1]:1"), from("[2001:db8:0:1::1]:1")
	require.NoError(t, g.Knock(a))
	require.NoError(t, g.Knock(from("[2001:db8::2]:1")), "of the same network")
	limited(t, g.Knock(a), 429, "requests", time.Second)
	require.NoError(t, g.Knock(b))

	tom := &stream.Grant{User: "tom"}
	_, err := g.Enter(a, tom)
	require.NoError(t, err)
	_, err = g.Enter(b, tom)
	limited(t, err, 429, "streams", time.Second)
	_, err = g.Enter(a, &stream.Grant{}) // the anonymous count by address
	require.NoError(t, err)
	_, err = g.Enter(b, &stream.Grant{})
	require.NoError(t, err)
	_, err = g.Enter(a, &stream.Grant{})
	limited(t, err, 429, "streams", time.Second)

	require.NoError(t, g.Push(a, tom, 20, 10))
	limited(t, g.Push(a, tom, 1, 10), 429, "events", 100*time.Millisecond)
	now = now.Add(time.Second)
	require.NoError(t, g.Push(a, tom, 1, 1000))
	limited(t, g.Push(a, tom, 1, 10), 429, "bytes", 10*time.Millisecond)
	slow := &stream.Grant{User: "slow", Limits: stream.Limits{PushEvents: 0.5}}
	require.NoError(t, g.Push(a, slow, 1, 1))
	limited(t, g.Push(a, slow, 1, 1), 429, "events", 2*time.Second)
	free := limit.NewGate(limit.Config{})
	for range 100 {
		require.NoError(t, free.Knock(a))
		require.NoError(t, free.Push(a, tom, 1000, 1<<20))
		_, err := free.Enter(a, tom)
		require.NoError(t, err)
	}
}

// The bounds of an address and of all hold beside a user's own; who is beyond its own
// takes nothing of the others' share, and bounds may change while the gate is in use.
func TestGateOfAllAndAddresses(t *testing.T) {
	now := begin
	once := limit.Rate{PerSecond: 1, Burst: 1}
	c := limit.Config{
		User: limit.Bounds{Connects: once},
		Addr: limit.Bounds{Connects: limit.Rate{PerSecond: 1, Burst: 2}, PushEvents: limit.Rate{PerSecond: 10}},
		All:  limit.Bounds{Connects: limit.Rate{PerSecond: 1, Burst: 3}, PushBytes: limit.Rate{PerSecond: 100, Burst: 1000}},
	}
	c.SetClock(func() time.Time { return now })
	g := limit.NewGate(c)
	a, b := from("192.0.2.1:1"), from("192.0.2.2:1")
	enter := func(r *http.Request, user string) error {
		_, err := g.Enter(r, &stream.Grant{User: user})
		return err
	}
	require.NoError(t, enter(a, "tom"))
	for range 10 {
		limited(t, enter(a, "tom"), 429, "of this user", time.Second)
	}
	require.NoError(t, enter(a, "ann"), "tom took none of it")
	limited(t, enter(a, "eve"), 429, "of this address", time.Second)
	require.NoError(t, enter(b, "bob"))
	limited(t, enter(b, "joe"), 503, "too many streams", time.Second)

	require.NoError(t, g.Push(a, &stream.Grant{User: "tom"}, 10, 900))
	limited(t, g.Push(a, &stream.Grant{User: "ann"}, 1, 1), 429, "events pushed of this address", 100*time.Millisecond)
	limited(t, g.Push(b, &stream.Grant{User: "ann"}, 1, 200), 503, "too many bytes pushed", time.Second)

	c.All.Connects, c.Addr.Connects = limit.Rate{}, limit.Rate{}
	c.All.Connections = 3
	g.Configure(c)
	limited(t, g.Knock(a), 503, "too many connections", 5*time.Second)
	require.NoError(t, g.Request(a), "what is no stream has no bound by streams")
	c.All.Connections = 4
	g.Configure(c)
	require.NoError(t, enter(a, "new"))
}

// (Invariant 5.) Strangers of more addresses than are told apart take nothing from users who are not known yet, and the
// bound of all stays one.
func TestStrangersCrowdOutNoUsers(t *testing.T) {
	once := limit.Rate{PerSecond: 0.001, Burst: 1}
	c := limit.Config{User: limit.Bounds{Connects: once}, Addr: limit.Bounds{Connects: limit.Rate{PerSecond: 0.001, Burst: 2}},
		All: limit.Bounds{Connects: limit.Rate{PerSecond: 0.001, Burst: 40}}, Keys: 8}
	c.SetClock(func() time.Time { return begin })
	g := limit.NewGate(c)
	let := 0
	for i := range 100 {
		if _, err := g.Enter(from(fmt.Sprintf("192.0.2.%d:1", i+1)), &stream.Grant{}); err == nil {
			let++
		}
	}
	require.LessOrEqual(t, let, 9, "those who are not told apart share one bucket")
	for i := range 8 {
		_, err := g.Enter(from("192.0.2.1:1"), &stream.Grant{User: fmt.Sprint(i)})
		if i == 0 {
			require.NoError(t, err)
			continue
		}
		limited(t, err, 429, "of this address", 1000*time.Second)
	}
}

// (Invariant 5.) A storm beyond the limit is answered 503 with Retry-After, costs no hijack and no look at credentials, and the streams that there are go on.
func TestStormIsRefusedCheaply(t *testing.T) {
	const open, storm = 10, 2000
	gate := limit.NewGate(limit.Config{All: limit.Bounds{Connections: open}})
	hub := engine.NewHub(engine.WithLogger(slog.New(slog.DiscardHandler)))
	var authorized, hijacked, late atomic.Int32
	h := stream.Authorized(hub, func(*http.Request) (stream.Grant, error) {
		authorized.Add(1)
		return stream.Grant{}, nil
	}, stream.WithGate(gate))
	server := httptest.NewUnstartedServer(h)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateHijacked {
			hijacked.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(hub.Close)

	var streams [open]*wire.Decoder
	for i := range streams {
		resp, err := server.Client().Get(server.URL)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, 200, resp.StatusCode)
		streams[i] = wire.NewDecoder(resp.Body)
	}
	require.Eventually(t, func() bool { return hub.OnlineClientsNum() == open }, 20*time.Second, time.Millisecond)
	client := server.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 20
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range storm / 20 {
				resp, err := client.Get(server.URL)
				if err != nil {
					t.Error(err)
					return
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "5" || !strings.Contains(string(body), "too many connections") {
					late.Add(1)
				}
			}
		})
	}
	require.NoError(t, hub.Push(nil, &wire.Event{Data: "in the storm"}))
	for _, s := range streams {
		e, err := s.Next()
		require.NoError(t, err)
		require.Equal(t, "in the storm", e.Data)
	}
	wg.Wait()
	require.Zero(t, late.Load())
	require.EqualValues(t, open, authorized.Load())
	require.LessOrEqual(t, hijacked.Load(), int32(open))
}

// tcpConn is a connection from an address, which counts how often it is closed.
type tcpConn struct {
	net.Conn
	from   string
	closed int
}

func (c *tcpConn) RemoteAddr() net.Addr {
	addr, err := net.ResolveTCPAddr("tcp", c.from)
	if err != nil {
		panic(err)
	}
	return addr
}

func (c *tcpConn) Close() error { c.closed++; return nil }

// (Invariant 5.) Connections of one address that are no streams are bounded, and those of others, of proxies, and those that
// have become streams or have ended, take nothing of it.
func TestConnectionsThatAskForNothingAreBounded(t *testing.T) {
	c := limit.Config{Proxies: proxies(t, "", "10.0.0.1")}
	g := limit.NewGate(c)
	come := func(from string) *tcpConn {
		conn := &tcpConn{from: from}
		g.ConnState(conn, http.StateNew)
		if conn.closed > 0 {
			g.ConnState(conn, http.StateClosed)
		}
		return conn
	}
	for range 300 {
		require.Zero(t, come("10.0.0.1:1").closed, "a proxy")
	}
	open := make([]*tcpConn, 0, 200)
	for range 200 {
		open = append(open, come("192.0.2.1:1"))
	}
	for _, most := range []int{0, 100, 50, 1} {
		c.Addr.Connections = most
		g.Configure(c)
		require.Equal(t, most > 0, come("192.0.2.1:2").closed == 1, "%d", most)
		require.Zero(t, come("192.0.2.2:1").closed, "another address")
		require.Zero(t, come("[2001:db8::1]:1").closed)
		require.Zero(t, come("10.0.0.1:1").closed, "a proxy")
		if most == 0 {
			g.ConnState(&tcpConn{from: "192.0.2.1:2"}, http.StateClosed) // the one that was let in
		}
	}
	for i, conn := range open[:100] { // 100 are left of 101
		g.ConnState(conn, http.StateActive)
		if i%2 == 0 {
			g.ConnState(conn, http.StateHijacked)
		} else {
			g.ConnState(conn, http.StateClosed)
		}
	}
	require.Zero(t, come("192.0.2.1:3").closed)
	require.Equal(t, 1, come("192.0.2.1:4").closed)
}
