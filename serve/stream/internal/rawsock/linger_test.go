//go:build linux

package rawsock_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/stream/internal/rawsock"
)

// What was sent before an orderly end reaches a peer that has sent something
// itself, however much of it nobody has read, before the end or after.
func TestCloseOverUnreadInputLosesNothing(t *testing.T) {
	for _, kind := range []string{"tcp", "unix"} {
		for _, before := range []int{0, 4000, 100_000} {
			conn, client := listen(t, kind).pair()
			go func() { _, _ = client.Write([]byte(strings.Repeat("q", before))) }()
			sent, fill := 0, []byte(strings.Repeat("x", 64<<10))
			for {
				n, err := conn.Write(fill)
				require.NoError(t, err)
				if sent += n; n < len(fill) {
					break
				}
			}
			time.AfterFunc(10*time.Millisecond, func() { conn.Close(false) }) // while the peer has read nothing
			require.Eventually(t, func() bool { return rawsock.Lingering() == 1 }, patience, time.Millisecond)
			go func() { _, _ = client.Write([]byte(strings.Repeat("q", 10_000))) }()
			got, err := io.Copy(io.Discard, client)
			require.NoError(t, err, "an orderly end, not a reset")
			require.EqualValues(t, sent, got)
			client.Close()
			requireIdle(t)
		}
	}
}

// A peer that sends without end, or never ends its side, does not hold the
// descriptor: bytes and time are bounded.
func TestLingeringIsBounded(t *testing.T) {
	n := listen(t, "tcp")
	conn, client := n.pair()
	conn.Close(false)
	require.NoError(t, client.SetDeadline(time.Now().Add(patience)))
	sent, chunk := 0, make([]byte, 32<<10)
	for {
		k, err := client.Write(chunk)
		if sent += k; err != nil {
			break // reset
		}
	}
	require.Greater(t, sent, rawsock.LingerBytes)
	requireIdle(t)
	client.Close()

	silent, client := n.pair()
	defer client.Close()
	silent.Close(false)
	require.Equal(t, 1, rawsock.Lingering())
	rawsock.ExpireLingers()
	requireIdle(t)
}

// Of very many ends at a time the oldest make room.
func TestNumberOfLingeringIsBounded(t *testing.T) {
	defer rawsock.SetMaxLingers(rawsock.SetMaxLingers(3))
	n := listen(t, "tcp")
	var clients []net.Conn
	for range 10 {
		conn, client := n.pair()
		clients = append(clients, client)
		conn.Close(false)
		require.LessOrEqual(t, rawsock.Lingering(), 3)
	}
	for _, c := range clients {
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		_, err := io.Copy(io.Discard, c)
		require.NoError(t, err)
		c.Close()
	}
	requireIdle(t)
}
