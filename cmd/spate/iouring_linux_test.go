package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/serve/stream"
)

// ringsHere counts the process's descriptors of io_uring.
func ringsHere(t *testing.T) (n int) {
	t.Helper()
	dir, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, fd := range dir {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); to == "anon_inode:[io_uring]" {
			n++
		}
	}
	return n
}

// --io-uring is a ring for each shard, without it there is none; where there cannot be one for each, the hub does not start
// and says why.
func TestIOUring(t *testing.T) {
	w, err := stream.IOUring()
	if err != nil {
		require.Contains(t, failsWith(t, "--memory", "--listen", "127.0.0.1:0", "--io-uring"), "--io-uring: io_uring cannot be used here")
		t.Skip(err)
	}
	w.Close()
	require.Zero(t, ringsHere(t))
	s := startServe(t, "--memory")
	require.Zero(t, ringsHere(t))
	require.Zero(t, s.stop())

	s = startServe(t, "--memory", "--io-uring")
	shards := ringsHere(t)
	require.GreaterOrEqual(t, shards, 4)
	require.Zero(t, s.stop())
	require.Zero(t, ringsHere(t))

	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	open, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	few := limit
	few.Cur = uint64(len(open) + 3 + shards/2)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &few))
	ended := runToEnd(t, "", "serve", "--memory", "--listen", "127.0.0.1:0", "--io-uring")
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	require.Equal(t, 1, ended.code)
	require.Contains(t, ended.err, "--io-uring: io_uring cannot be used here, as there is no descriptor left")
	require.Zero(t, ringsHere(t))
}
