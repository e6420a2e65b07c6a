//go:build linux

package stream_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/wire"
)

// An idle raw connection costs no goroutine, with TLS and without: two hundred of
// them add none.
func TestNoGoroutinePerIdleConnection(t *testing.T) {
	for _, m := range modes {
		if m.name == "raw" || m.name == "raw-tls" {
			t.Run(m.name, func(t *testing.T) { testNoGoroutine(t, newSite(t, m, setup{})) })
		}
	}
}

func testNoGoroutine(t *testing.T, s *site) {
	dial := func(uid int) net.Conn {
		c, err := net.Dial("tcp", s.server.Listener.Addr().String())
		require.NoError(t, err)
		if s.mode.tls {
			c = tls.Client(c, s.trust())
		}
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		_, err = fmt.Fprintf(c, "GET /events?uid=u%d HTTP/1.1\r\nHost: x\r\n\r\n", uid)
		require.NoError(t, err)
		var got []byte
		buf := make([]byte, 1024)
		for !bytes.HasSuffix(got, []byte(greeting+"\r\n")) {
			n, err := c.Read(buf)
			require.NoError(t, err)
			got = append(got, buf[:n]...)
		}
		return c
	}
	first := dial(0)
	defer first.Close()
	s.online(1)
	base := runtime.NumGoroutine()
	const more = 200
	for i := range more {
		c := dial(i + 1)
		defer c.Close()
	}
	s.online(1 + more)
	// The pool that runs the shards may have grown by its few workers.
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= base+2*runtime.GOMAXPROCS(0)+4 },
		patience, time.Millisecond, "goroutines: %d before", base)
	ids := s.push("", "for all")
	buf := make([]byte, 1024)
	n, err := first.Read(buf)
	require.NoError(t, err)
	require.Equal(t, string(wire.AppendChunk(nil, []byte("id: "+ids[0]+"\ndata: for all\n\n"))), string(buf[:n]))
}
