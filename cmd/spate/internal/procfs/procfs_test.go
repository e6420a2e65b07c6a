package procfs_test

import (
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/cmd/spate/internal/procfs"
)

const (
	before = procfs.FS("testdata/before")
	after  = procfs.FS("testdata/after")
)

func TestStat(t *testing.T) {
	st, err := before.Stat()
	require.NoError(t, err)
	require.Equal(t, procfs.CPU{User: 10000, Nice: 100, System: 5000, Idle: 200000, IOWait: 400, IRQ: 50, SoftIRQ: 150, Steal: 20}, st.Total)
	require.Len(t, st.Cores, 2)
	require.EqualValues(t, 100000, st.Cores[1].Idle)
}

func TestUsageIsTheShareOfTheTimeBetween(t *testing.T) {
	a, err := before.Stat()
	require.NoError(t, err)
	b, err := after.Stat()
	require.NoError(t, err)
	// 60 user, 20+5+5 system, 10 iowait, 10 steal, 90 idle: 200 ticks.
	u := b.Total.Since(a.Total)
	require.InDelta(t, 30, u.User, 1e-9)
	require.InDelta(t, 15, u.System, 1e-9)
	require.InDelta(t, 5, u.IOWait, 1e-9)
	require.InDelta(t, 5, u.Steal, 1e-9)
	require.InDelta(t, 50, u.Busy(), 1e-9)
	require.InDelta(t, 50, b.Cores[0].Since(a.Cores[0]).Busy(), 1e-9)

	require.Zero(t, a.Total.Since(a.Total), "no time passed")
	back := a.Total
	back.Idle++
	require.Zero(t, a.Total.Since(back), "a counter that ran backwards counts as 0")
}

func TestMem(t *testing.T) {
	m, err := before.Mem()
	require.NoError(t, err)
	require.EqualValues(t, int64(24684084<<10), m.Total)
	require.EqualValues(t, (24684084-23281380)<<10, m.Used())
	require.EqualValues(t, 262144<<10, m.SwapUsed())

	m, err = procfs.ParseMem(strings.NewReader("MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 5 kB\nCached: 25 kB\n"))
	require.NoError(t, err)
	require.EqualValues(t, 40<<10, m.Available, "free, buffers and cache stand for MemAvailable")
	require.EqualValues(t, 60<<10, m.Used())
}

func TestNet(t *testing.T) {
	all, err := before.Net()
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.True(t, all[0].Loopback())
	require.Equal(t, procfs.Interface{
		Name: "eth0", RxBytes: 318966606, RxPackets: 14676, RxErrors: 1, RxDropped: 2,
		TxBytes: 1104833, TxPackets: 10332, TxErrors: 3, TxDropped: 4,
	}, all[1])
	require.Equal(t, "eth0:1", all[2].Name, "an alias has a colon in its name, and no space after it")
	require.EqualValues(t, 1000, all[2].RxBytes)
}

func TestLoadAndSelf(t *testing.T) {
	l, err := before.Load()
	require.NoError(t, err)
	require.Equal(t, procfs.Load{One: 0.83, Five: 0.40, Fifteen: 0.16, Running: 2, Tasks: 90}, l)
	rss, err := before.Resident()
	require.NoError(t, err)
	require.EqualValues(t, 765*os.Getpagesize(), rss)
}

func TestMalformedFilesAreErrors(t *testing.T) {
	stat := func(r io.Reader) error { _, err := procfs.ParseStat(r); return err }
	mem := func(r io.Reader) error { _, err := procfs.ParseMem(r); return err }
	net := func(r io.Reader) error { _, err := procfs.ParseNet(r); return err }
	load := func(r io.Reader) error { _, err := procfs.ParseLoad(r); return err }
	for name, c := range map[string]struct {
		parse func(io.Reader) error
		text  string
	}{
		"stat empty":        {stat, ""},
		"stat short":        {stat, "cpu 1 2 3\n"},
		"stat word":         {stat, "cpu 1 2 x 4\n"},
		"stat negative":     {stat, "cpu 1 2 -3 4\n"},
		"mem empty":         {mem, ""},
		"mem no value":      {mem, "MemTotal:\n"},
		"mem word":          {mem, "MemTotal: lots kB\n"},
		"mem overflow":      {mem, "MemTotal: 99999999999999999999 kB\n"},
		"net no colon":      {net, "a\nb\neth0 1 2 3\n"},
		"net short":         {net, "a\nb\neth0: 1 2 3\n"},
		"net word":          {net, "a\nb\neth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 x\n"},
		"load empty":        {load, ""},
		"load word":         {load, "a b c 1/2 3\n"},
		"load no slash":     {load, "1 2 3 4 5\n"},
		"load no number":    {load, "1 2 3 a/b 5\n"},
		"load empty number": {load, "1 2 3 / 5\n"},
	} {
		t.Run(name, func(t *testing.T) { require.ErrorIs(t, c.parse(strings.NewReader(c.text)), procfs.ErrFormat) })
	}
}

func TestMissingFilesAreErrors(t *testing.T) {
	missing := procfs.FS(t.TempDir())
	require.False(t, missing.Available())
	require.True(t, before.Available())
	_, err := missing.Stat()
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = missing.OpenFiles()
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestThisMachine: where there is a /proc, the parsers take it as it is.
func TestThisMachine(t *testing.T) {
	live := procfs.FS(procfs.Root)
	if runtime.GOOS != "linux" || !live.Available() {
		t.Skip("no /proc here")
	}
	st, err := live.Stat()
	require.NoError(t, err)
	require.NotEmpty(t, st.Cores)
	m, err := live.Mem()
	require.NoError(t, err)
	require.Positive(t, m.Used())
	_, err = live.Net()
	require.NoError(t, err)
	l, err := live.Load()
	require.NoError(t, err)
	require.Positive(t, l.Tasks)
	rss, err := live.Resident()
	require.NoError(t, err)
	require.Positive(t, rss)
	n, err := live.OpenFiles()
	require.NoError(t, err)
	require.Positive(t, n)
	listed, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	require.InDelta(t, len(listed), n, 2)
	var more []*os.File
	for range 100 {
		f, err := os.Open(os.DevNull)
		require.NoError(t, err)
		more = append(more, f)
	}
	now, err := live.OpenFiles()
	require.NoError(t, err)
	require.InDelta(t, n+100, now, 2)
	for _, f := range more {
		f.Close()
	}
}
