package main

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/stream"
)

// Connections that come when few descriptors are left are hung up on, and others are
// taken as they are.
func TestConnectionsLeaveDescriptors(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the limit of descriptors is not known here")
	}
	for _, c := range []struct {
		reserve int
		taken   bool
	}{{0, true}, {stream.DescriptorStats().Limit, false}} {
		inner, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		accepted := make(chan net.Conn, 1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if conn, err := (sparingListener{inner, c.reserve}).Accept(); err == nil {
				accepted <- conn
			}
		}()
		client, err := net.Dial("tcp", inner.Addr().String())
		require.NoError(t, err)
		require.NoError(t, client.SetDeadline(time.Now().Add(patience)))
		if c.taken {
			conn := <-accepted
			require.IsType(t, &net.TCPConn{}, conn, "streams take the socket over")
			conn.Close()
		} else {
			_, err := io.Copy(io.Discard, client)
			require.NoError(t, err, "closed at once")
		}
		client.Close()
		inner.Close()
		<-done
		require.Empty(t, accepted)
	}
}
