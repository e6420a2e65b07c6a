package uring

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
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
	fill(t, full)
	long := []byte(strings.Repeat("x", 1<<20))
	results := make([]int32, 8)
	for range 5 { // the queue goes round
		r.Send(gone, []byte("nobody"))
		r.Send(full, []byte("no room"))
		r.Send(half, long)
		r.Send(-1, []byte("nowhere"))
		r.Send(well, []byte("hello"))
		require.NoError(t, r.Submit(results))
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

// What the kernel does not take is not sent later, whether it takes some or none.
func TestWhatIsNotTakenIsTakenBack(t *testing.T) {
	for takes := range uint32(4) {
		t.Run(fmt.Sprint("takes ", takes), func(t *testing.T) {
			r := newRing(t, 8)
			ours, peer := pair(t)
			left := takes
			r.enter = func(fd int, submit, complete uint32, flags uintptr) unix.Errno {
				if left == 0 {
					return unix.EBUSY
				}
				submit = min(submit, left)
				left -= submit
				return enter(fd, submit, complete, flags)
			}
			results := make([]int32, 8)
			for _, text := range []string{"a", "bb", "ccc"} {
				r.Send(ours, []byte(text))
			}
			err := r.Submit(results)
			if takes == 0 {
				require.ErrorIs(t, err, unix.EBUSY)
			} else {
				require.NoError(t, err)
			}
			for i := range int32(3) {
				if i < int32(takes) {
					require.Equal(t, i+1, results[i])
				} else {
					require.Equal(t, Unsent, results[i])
				}
			}
			r.enter = enter
			r.Send(ours, []byte("late"))
			require.NoError(t, r.Submit(results))
			require.EqualValues(t, 4, results[0])
			require.Equal(t, "abbccc"[:takes*(takes+1)/2]+"late", string(read(t, peer)))
		})
	}
}

// What has not ended when the call returns is waited for: sends always have, so this one is made to receive.
func TestSubmitReturnsWhenAllHasEnded(t *testing.T) {
	const opReceive = 27
	r := newRing(t, 8)
	ours, peer := pair(t)
	require.NoError(t, unix.SetNonblock(int(ours), false))
	waits := 0
	r.enter = func(fd int, submit, complete uint32, flags uintptr) unix.Errno {
		if complete > 0 {
			if waits++; waits == 2 { // the first is as if interrupted
				_, err := unix.Write(peer, []byte("hello"))
				require.NoError(t, err)
			} else {
				return unix.EINTR
			}
		}
		return enter(fd, submit, complete, flags)
	}
	buf := make([]byte, 16)
	r.Send(ours, buf)
	q := &r.requests[(r.tail-1)%8]
	q.op, q.msgFlags = opReceive, 0
	results := make([]int32, 8)
	require.NoError(t, r.Submit(results))
	require.EqualValues(t, 5, results[0])
	require.Equal(t, "hello", string(buf[:5]))
	require.Equal(t, 2, waits)
}

// What a send points to is kept from the garbage collector until it has ended.
func TestWhatIsSentIsHeld(t *testing.T) {
	r := newRing(t, 8)
	ours, peer := pair(t)
	want := strings.Repeat("x", 4000)
	func() { r.Send(ours, []byte(want)) }()
	runtime.GC()
	var junk [][]byte
	for range 1000 {
		junk = append(junk, bytes.Repeat([]byte("y"), 4000))
	}
	runtime.GC()
	require.NoError(t, r.Submit(make([]int32, 8)))
	require.Equal(t, want, string(read(t, peer)))
	runtime.KeepAlive(junk)
}

// fill writes until the socket takes no more.
func fill(t testing.TB, fd int32) {
	t.Helper()
	for {
		if _, err := unix.Write(int(fd), make([]byte, 1000)); err != nil {
			require.Equal(t, unix.EAGAIN, err)
			return
		}
	}
}

// Whatever is sent, by batches of any size, arrives once and in order.
func TestBytesArriveOnce(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if v, err := strconv.ParseUint(os.Getenv("SPATETEST_SEED"), 10, 64); err == nil {
		seed = v
	}
	t.Logf("replay with SPATETEST_SEED=%d go test -run '^%s$' ./serve/stream/internal/uring", seed, t.Name())
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
		require.NoError(t, r.Submit(results))
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
		_ = r.Submit(results)
		_, _ = unix.Read(peer, buf)
	}))
}
