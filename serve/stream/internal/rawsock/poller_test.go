//go:build linux

package rawsock_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/serve/stream/internal/rawsock"
)

// An event that was under way when its connection closed reaches nobody, even
// though slot and descriptor number are at once in use again.
func TestLateEventNeverReachesTheNextConnection(t *testing.T) {
	n := listen(t, "tcp")
	keep, keepClient := n.pair() // holds the poller
	defer keepClient.Close()
	defer keep.Close(false)

	old, oldClient := n.pair()
	old.Watch(newRecorder())
	fd := old.Descriptor()
	late := []func(){old.Replay(unix.EPOLLRDHUP), old.Replay(unix.EPOLLOUT), old.Replay(unix.EPOLLHUP | unix.EPOLLERR)}
	oldClient.Close()
	old.Close(false)

	next, nextClient := n.pair()
	defer nextClient.Close()
	require.Equal(t, fd, next.Descriptor(), "the kernel gave the number out again")
	for _, replay := range late {
		replay() // while the next has no waker: must not be kept for it
	}
	w := newRecorder()
	next.Watch(w)
	for _, replay := range late {
		replay()
	}
	require.Empty(t, w.hangup)
	require.Empty(t, w.writable)
	next.Close(false)
}

// Connections come and go as fast as they can on shared numbers, with full
// buffers being drained and resets under way, while lasting ones stand between
// them: none of those may hear of a hang-up, and each stream must be its own.
func TestReusedDescriptorsUnderFire(t *testing.T) {
	n := listen(t, "tcp")
	const lasting = 20
	type side struct {
		conn   *rawsock.Conn
		client net.Conn
		w      *recorder
	}
	var keep []side
	for range lasting {
		conn, client := n.pair()
		w := newRecorder()
		conn.Watch(w)
		keep = append(keep, side{conn, client, w})
	}
	for round := range 200 {
		conn, client := n.pair()
		w := newRecorder()
		conn.Watch(w)
		mark := byte('A' + round%26)
		fill(t, conn, bytes.Repeat([]byte{mark}, 32<<10))
		var wg sync.WaitGroup
		wg.Go(func() { // drains, so that room is told while it closes
			buf := make([]byte, 16<<10)
			for range 1 + round%4 {
				m, err := client.Read(buf)
				if err != nil {
					break
				}
				if bytes.Count(buf[:m], []byte{mark}) != m {
					t.Errorf("round %d: bytes of another connection", round)
				}
			}
			if round%2 == 0 {
				_ = client.(*net.TCPConn).SetLinger(0)
			}
			client.Close()
		})
		if round%4 == 0 {
			wg.Wait() // the peer is first
		}
		conn.Close(round%5 == 0)
		wg.Wait()
	}
	for i, s := range keep {
		require.Empty(t, s.w.hangup, "lasting connection %d", i)
		want := fmt.Sprintf("still number %d", i)
		_, err := s.conn.Write([]byte(want))
		require.NoError(t, err)
		got := make([]byte, len(want))
		_, err = io.ReadFull(s.client, got)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		s.conn.Close(false)
		s.client.Close()
	}
}

// One poller serves all, it holds no goroutine per connection, and it ends with
// the last one, also when ends and beginnings meet.
func TestPollerLivesWithItsConnections(t *testing.T) {
	n := listen(t, "tcp")
	before := runtime.NumGoroutine()
	var conns []*rawsock.Conn
	var clients []net.Conn
	for range 100 {
		conn, client := n.pair()
		conns, clients = append(conns, conn), append(clients, client)
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), before+1)
	used, _ := rawsock.Watched()
	require.Equal(t, 100, used)
	for i := range conns {
		conns[i].Close(false)
		clients[i].Close()
	}
	requireIdle(t)

	var wg sync.WaitGroup
	var told atomic.Int64
	pairs := make(chan [2]any, 8)
	for range 4 {
		wg.Go(func() {
			for p := range pairs {
				w := newRecorder()
				p[0].(*rawsock.Conn).Watch(w)
				p[1].(net.Conn).Close()
				select {
				case <-w.hangup:
					told.Add(1)
				case <-time.After(patience):
				}
				p[0].(*rawsock.Conn).Close(false)
			}
		})
	}
	for range 300 {
		conn, client := n.pair()
		pairs <- [2]any{conn, client}
	}
	close(pairs)
	wg.Wait()
	require.EqualValues(t, 300, told.Load(), "a hang-up fell between two pollers")
	requireIdle(t)
}

// requireIdle waits until no socket is watched, those that linger included, whose
// peers are gone.
func requireIdle(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, alive := rawsock.Watched()
		return !alive
	}, patience, time.Millisecond)
	require.Zero(t, rawsock.Lingering())
}
