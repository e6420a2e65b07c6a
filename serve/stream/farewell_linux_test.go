package stream_test

import (
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
)

// A peer that reads neither its events nor the reason is reset.
func TestPeerThatDoesNotReadTheReasonIsReset(t *testing.T) {
	s := newSite(t, modes[0], setup{
		hub:     []engine.HubOption{engine.WithPolicy(engine.PolicyDisconnect), engine.WithQueueBytes(2 << 20), engine.WithShards(1)},
		options: []stream.Option{stream.WithStallTimeout(time.Second)},
		control: shrink,
	})
	c, err := net.Dial("tcp", s.server.Listener.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.(*net.TCPConn).SetReadBuffer(4<<10)) // what the kernel takes is far less than the queue
	_, err = io.WriteString(c, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	s.online(1)
	s.overflow(strings.Repeat("x", 512<<10)) // the rest of one such event is more than the kernel takes
	s.online(0)
	require.Equal(t, engine.Ends{Overflow: 1}, s.hub.Stats().Ends)
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	_, err = io.Copy(io.Discard, c)
	require.ErrorIs(t, err, syscall.ECONNRESET)
}
