//go:build linux

package rawsock_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/stream/internal/rawsock"
)

func newBatch(t testing.TB, sends int) *rawsock.Batch {
	t.Helper()
	b, err := rawsock.NewBatch(sends)
	if err != nil {
		t.Skip("no io_uring here: ", err)
	}
	t.Cleanup(b.Close)
	return b
}

// What is sent in batches of any size, and what a full socket took in part, arrives whole and in order beside peers
// that read slowly, and room is told as after a Write.
func TestBatchesArriveInOrder(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachNetwork(t, func(t *testing.T, n *network) {
		rng := rand.New(rand.NewPCG(seed, 0))
		b := newBatch(t, 16)
		const peers, total = 12, 1 << 20
		var readers sync.WaitGroup
		var conns [peers]*rawsock.Conn
		var room [peers]*recorder
		var sent, rest, got [peers][]byte
		for i := range conns {
			var client net.Conn
			conns[i], client = n.pair()
			room[i] = newRecorder()
			conns[i].Watch(room[i])
			readers.Go(func() {
				defer client.Close()
				got[i], _ = io.ReadAll(io.LimitReader(client, total))
			})
		}
		stopped := 0
		for done := 0; done < peers; {
			order := rng.Perm(peers)[:1+rng.IntN(peers)]
			var added []int
			for _, i := range order {
				if len(sent[i]) == total {
					continue
				}
				if len(rest[i]) == 0 {
					size := min(1+rng.IntN(20_000), total-len(sent[i]))
					rest[i] = bytes.Repeat([]byte{byte(rng.IntN(256))}, size)
				} else if !isRoom(room[i]) {
					continue
				}
				b.Add(conns[i], rest[i])
				added = append(added, i)
			}
			told := 0
			b.Send(func(k, n int, err error) {
				require.Equal(t, told, k)
				told++
				require.NoError(t, err)
				i := added[k]
				sent[i] = append(sent[i], rest[i][:n]...)
				if rest[i] = rest[i][n:]; len(rest[i]) > 0 {
					stopped++
				}
				if len(sent[i]) == total {
					done++
				}
			})
			require.Equal(t, len(added), told)
		}
		readers.Wait()
		for i := range got {
			require.True(t, bytes.Equal(sent[i], got[i]), i)
			conns[i].Close(false)
		}
		require.Positive(t, stopped, "no socket was ever full")
	})
}

func isRoom(r *recorder) bool {
	select {
	case <-r.writable:
		return true
	default:
		return false
	}
}

// A peer that is gone is told by an error, and holds nobody up.
func TestBatchOverABrokenConnection(t *testing.T) {
	n := listen(t, "tcp")
	b := newBatch(t, 8)
	broken, peer := n.pair()
	w := newRecorder()
	broken.Watch(w)
	require.NoError(t, peer.(*net.TCPConn).SetLinger(0))
	require.NoError(t, peer.Close())
	require.ErrorIs(t, w.waitHangup(t), rawsock.ErrReset)
	var others []*rawsock.Conn
	for range 6 {
		c, client := n.pair()
		defer client.Close()
		others = append(others, c)
	}
	b.Add(broken, []byte("lost"))
	for _, c := range others {
		b.Add(c, []byte("hello"))
	}
	b.Send(func(i, n int, err error) {
		if i == 0 {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, 5, n)
	})
	broken.Close(true)
	for _, c := range others {
		c.Close(true)
	}
}
