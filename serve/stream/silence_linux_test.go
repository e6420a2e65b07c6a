package stream_test

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
)

// The kernel resets a peer whose window stays shut for the user time-out, alive
// or not: it must be the stall time-out, the hub's unless the connection has its
// own, and none where a connection may stall for ever.
func TestKernelGivesUpNoEarlierThanTheHub(t *testing.T) {
	const never = -1
	for name, c := range map[string]struct {
		hub, conn time.Duration // 0: not set
		want      int           // TCP_USER_TIMEOUT in ms; 0: the system's own
	}{
		"default":                   {0, 0, 60_000},
		"hub's":                     {5 * time.Minute, 0, 300_000},
		"hub's never":               {never, 0, 0},
		"connection's":              {5 * time.Minute, time.Hour, 3_600_000},
		"connection's, hub's never": {never, time.Minute, 60_000},
		"connection's never":        {5 * time.Minute, never, 0},
	} {
		t.Run(name, func(t *testing.T) {
			sockets := make(chan *os.File, 1) // of the server's side; nil: not to be had
			with := setup{control: func(conn net.Conn) {
				file, _ := conn.(*net.TCPConn).File()
				sockets <- file
			}}
			if c.hub != 0 {
				with.hub = append(with.hub, engine.WithStallTimeout(c.hub))
			}
			if c.conn != 0 {
				with.options = append(with.options, stream.WithStallTimeout(c.conn))
			}
			s := newSite(t, modes[0], with)
			s.open("")
			s.online(1)
			socket := <-sockets
			require.NotNil(t, socket)
			defer socket.Close()
			raw, err := socket.SyscallConn()
			require.NoError(t, err)
			var got int
			require.NoError(t, raw.Control(func(fd uintptr) {
				got, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
			}))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}
