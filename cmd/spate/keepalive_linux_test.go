package main

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Connections are probed by the kernel only where no heartbeat finds a dead peer.
func TestKeepAliveOnlyWithoutHeartbeats(t *testing.T) {
	for heartbeat, want := range map[string]int{"15s": 0, "0": 1} {
		c, err := parseWith(environment(), "--heartbeat", heartbeat, "--listen", "127.0.0.1:0")
		require.NoError(t, err)
		l, err := c.openListener(t.Context())
		require.NoError(t, err)
		defer l.Close()
		require.NoError(t, l.(*net.TCPListener).SetDeadline(time.Now().Add(patience)))
		dialled, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer dialled.Close()
		accepted, err := l.Accept()
		require.NoError(t, err)
		defer accepted.Close()
		raw, err := accepted.(*net.TCPConn).SyscallConn()
		require.NoError(t, err)
		var got int
		require.NoError(t, raw.Control(func(fd uintptr) {
			got, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
		}))
		require.NoError(t, err)
		require.Equal(t, want, got, "heartbeat %s", heartbeat)
	}
}
