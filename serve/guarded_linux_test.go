package serve_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve"
	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/limit"
)

// guardedBytes bounds what an idle connection may hold more for its grant, its limits and its user, where each has a user
// and a token of its own. They are counted as objects of the heap: what is said of whole processes is in docs/benchmarks.md.
const guardedBytes = 560

// (Invariant 5.) What an idle connection holds for authorization and limits is little beside the connection itself: nothing
// of its request and its token stays, equal rights are there once, and a bucket that is full again is not kept.
func TestGuardedIdleConnectionsHoldLittle(t *testing.T) {
	const streams = 2000
	hub := newHub(t, engine.WithHeartbeat(-1))
	plain := idleBytes(t, hub, serve.Handler(hub, nil), streams, func(int) string { return "" })

	secret := []byte("a secret of this test, and of nobody else")
	keys, err := auth.Secret(secret)
	require.NoError(t, err)
	authorize, err := auth.JWT(auth.JWTConfig{Keys: keys})
	require.NoError(t, err)
	many := limit.Rate{PerSecond: 1e6}
	gate := limit.NewGate(limit.Config{
		All:  limit.Bounds{Connections: 1e6, Connects: many},
		User: limit.Bounds{Connections: 10, Connects: limit.Rate{PerSecond: 1000, Burst: 1}},
		Addr: limit.Bounds{Connections: 1e6, Connects: many}, Requests: many,
	})
	sessions := new(serve.Sessions)
	hub = newHub(t, engine.WithHeartbeat(-1))
	guarded := idleBytes(t, hub, serve.Authorized(hub, new(auth.Revocations).Guard(authorize), serve.WithGate(gate), serve.WithSessions(sessions)), streams, func(i int) string {
		user := fmt.Sprintf("user-%06d", i)
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"sub": user, "jti": "session-" + user, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
			"spate": map[string]any{"read": []string{"orders.>", "prices"}, "limits": map[string]any{"connections": 5}},
		}).SignedString(secret)
		require.NoError(t, err)
		return "Authorization: Bearer " + token + "\r\n"
	})
	t.Logf("an idle connection holds %d bytes in the heap, with a grant and limits %d", plain, guarded)
	require.Less(t, guarded-plain, guardedBytes)
	runtime.KeepAlive(sessions)
}

// idleBytes is what an idle connection holds in the heap, the client's end of it left out. Header is what each sends.
func idleBytes(t *testing.T, hub *engine.Hub, h http.Handler, streams int, header func(int) string) int {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	defer hub.Close() // before the server, which waits for streams that are not taken over
	conns := make([]net.Conn, 0, streams+1)
	defer func() {
		for _, conn := range conns {
			conn.Close()
		}
	}()
	open := func(i int) {
		conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		conns = append(conns, conn)
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", header(i))
		require.NoError(t, err)
		line, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(line, "HTTP/1.1 200 "), line)
	}
	joined := func() bool { return hub.OnlineClientsNum() == len(conns) }
	open(0) // what is made once
	require.Eventually(t, joined, patience, time.Millisecond)
	before := heapBytes()
	for i := range streams {
		open(i + 1)
	}
	require.Eventually(t, joined, patience, time.Millisecond)
	return int(heapBytes()-before) / streams
}

func heapBytes() int64 {
	for range 3 { // pools let go of what is in them in two
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
