//go:build linux

package rawsock_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
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
	if v, err := strconv.ParseUint(os.Getenv("SPATETEST_SEED"), 10, 64); err == nil {
		seed = v
	}
	t.Logf("replay with SPATETEST_SEED=%d go test -run '^%s$' ./serve/stream/internal/rawsock", seed, t.Name())
	eachNetwork(t, func(t *testing.T, n *network) {
		rng := rand.New(rand.NewPCG(seed, 0))
		b := newBatch(t, 16)
		const peers, total = 12, 1 << 20
		var readers sync.WaitGroup
		full := make(chan struct{}) // a socket is, before anybody reads
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
				<-full
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
				} else if !room[i].isRoom() {
					continue
				}
				require.True(t, b.Add(conns[i], rest[i]))
				added = append(added, i)
			}
			if len(added) == 0 {
				runtime.Gosched() // all of these are full
				continue
			}
			told := 0
			err := b.Send(func(k, n int, err error) {
				require.Equal(t, told, k)
				told++
				require.NoError(t, err)
				i := added[k]
				sent[i] = append(sent[i], rest[i][:n]...)
				if rest[i] = rest[i][n:]; len(rest[i]) > 0 {
					if stopped++; stopped == 1 {
						close(full)
					}
				}
				if len(sent[i]) == total {
					done++
				}
			})
			require.NoError(t, err)
			require.Equal(t, len(added), told)
		}
		readers.Wait()
		for i := range got {
			require.True(t, bytes.Equal(sent[i], got[i]), i)
			conns[i].Close(false)
		}
	})
}

// isRoom says whether room was told of since it last said so.
func (r *recorder) isRoom() bool {
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
	require.True(t, b.Add(broken, []byte("lost")))
	for _, c := range others {
		require.True(t, b.Add(c, []byte("hello")))
	}
	err := b.Send(func(i, n int, err error) {
		if i == 0 {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, 5, n)
	})
	require.NoError(t, err)
	broken.Close(true)
	for _, c := range others {
		c.Close(true)
	}
}

// More than a batch takes is not taken.
func TestFullBatchTakesNoMore(t *testing.T) {
	n := listen(t, "unix")
	b := newBatch(t, 2)
	c, client := n.pair()
	defer client.Close()
	for range 2 {
		require.True(t, b.Add(c, []byte("x")))
	}
	require.False(t, b.Add(c, []byte("y")))
	require.NoError(t, b.Send(func(_, n int, err error) {
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}))
	require.True(t, b.Add(c, []byte("z")))
	require.NoError(t, b.Send(func(int, int, error) {}))
	got := make([]byte, 3)
	_, err := io.ReadFull(client, got)
	require.NoError(t, err)
	require.Equal(t, "xxz", string(got))
	c.Close(true)
}
