package uring

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/internal/testrace"
)

func newRing(t testing.TB, entries int) *Ring {
	t.Helper()
	r, err := New(entries)
	if err != nil {
		t.Skip("no io_uring here: ", err)
	}
	t.Cleanup(r.Close)
	return r
}

// pair returns the two ends of a connection that holds some kilobytes.
func pair(t testing.TB) (ours int32, peer int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	require.NoError(t, unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 16<<10))
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return int32(fds[0]), fds[1]
}

// read returns what has come to a peer.
func read(t testing.TB, peer int) (all []byte) {
	t.Helper()
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(peer, buf)
		if err == unix.EAGAIN {
			return all
		}
		require.NoError(t, err)
		if n == 0 {
			return all
		}
		all = append(all, buf[:n]...)
	}
}

// Each send has the result of a send by itself, whatever becomes of the others.
func TestEachSendHasItsResult(t *testing.T) {
	r := newRing(t, 8)
	well, wellPeer := pair(t)
	full, _ := pair(t)
	half, halfPeer := pair(t)
	gone, gonePeer := pair(t)
	unix.Close(gonePeer)
	for {
		if _, err := unix.Write(int(full), make([]byte, 1000)); err != nil {
			require.Equal(t, unix.EAGAIN, err)
			break
		}
	}
	long := []byte(strings.Repeat("x", 1<<20))
	results := make([]int32, 8)
	for range 5 { // the queue goes round
		r.Send(gone, []byte("nobody"))
		r.Send(full, []byte("no room"))
		r.Send(half, long)
		r.Send(-1, []byte("nowhere"))
		r.Send(well, []byte("hello"))
		r.Submit(results)
		require.Equal(t, -int32(unix.EPIPE), results[0])
		require.Equal(t, -int32(unix.EAGAIN), results[1])
		require.Positive(t, results[2])
		require.Less(t, int(results[2]), len(long))
		require.Equal(t, -int32(unix.EBADF), results[3])
		require.EqualValues(t, 5, results[4])
		require.Equal(t, "hello", string(read(t, wellPeer)))
		require.Len(t, read(t, halfPeer), int(results[2]))
	}
}

// What the kernel does not take is not sent later.
func TestWhatIsNotTakenIsTakenBack(t *testing.T) {
	r := newRing(t, 8)
	ours, peer := pair(t)
	results := make([]int32, 8)
	fd := r.fd
	r.fd = -1
	r.Send(ours, []byte("early"))
	r.Send(ours, []byte("early too"))
	r.Submit(results)
	r.fd = fd
	require.Equal(t, []int32{-int32(unix.ENOBUFS), -int32(unix.ENOBUFS)}, results[:2])
	r.Send(ours, []byte("late"))
	r.Submit(results)
	require.EqualValues(t, 4, results[0])
	require.Equal(t, "late", string(read(t, peer)))
}

// Whatever is sent, by batches of any size, arrives once and in order.
func TestBytesArriveOnce(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	r := newRing(t, 16)
	var ours [16]int32
	var peers [16]int
	var sent, got [16][]byte
	for i := range ours {
		ours[i], peers[i] = pair(t)
	}
	results := make([]int32, 16)
	for range 5000 {
		order := rng.Perm(16)[:1+rng.IntN(16)]
		texts := make([][]byte, len(order))
		for k, i := range order {
			texts[k] = bytes.Repeat([]byte{byte(rng.IntN(256))}, 1+rng.IntN(3000))
			r.Send(ours[i], texts[k])
		}
		r.Submit(results)
		for k, i := range order {
			if results[k] == -int32(unix.EAGAIN) {
				continue
			}
			require.GreaterOrEqual(t, results[k], int32(0))
			sent[i] = append(sent[i], texts[k][:results[k]]...)
		}
		if i := rng.IntN(16); rng.IntN(3) == 0 {
			got[i] = append(got[i], read(t, peers[i])...)
		}
	}
	for i := range peers {
		require.True(t, bytes.Equal(sent[i], append(got[i], read(t, peers[i])...)), i)
	}
}

func TestSendingAllocatesNothing(t *testing.T) {
	if testrace.On {
		t.Skip("counts allocations")
	}
	r := newRing(t, 64)
	ours, peer := pair(t)
	results := make([]int32, 64)
	text, buf := []byte("hello"), make([]byte, 1<<10)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		for range 64 {
			r.Send(ours, text)
		}
		r.Submit(results)
		_, _ = unix.Read(peer, buf)
	}))
}
