package compress_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/compress"
	"github.com/spatehub/spate/engine"
)

// receiver decodes what it has been given so far.
type receiver struct {
	name   string
	coding engine.Encoding
	open   func(io.Reader) (io.Reader, error)
}

var receivers = []receiver{
	{"gzip", new(compress.Gzip), func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{"gzip of klauspost", new(compress.Gzip), func(r io.Reader) (io.Reader, error) { return kgzip.NewReader(r) }},
	{"zstd", new(compress.Zstd), func(r io.Reader) (io.Reader, error) {
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	}},
}

// source fails the test where a receiver asks for more than it was given.
type source struct {
	t    require.TestingT
	what string
	left []byte
}

func (s *source) Read(p []byte) (int, error) {
	require.NotEmpty(s.t, s.left, s.what)
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

// requireAtOnce: after each run a receiver has all of it, with nothing that follows.
func requireAtOnce(t require.TestingT, r receiver, runs [][]byte) {
	src := &source{t: t, what: r.name + ": the start"}
	src.left = r.coding.AppendStart(nil)
	var in io.Reader
	for i, run := range runs {
		before := []byte("before")
		coded := r.coding.AppendRun(before, run)
		require.Equal(t, "before", string(coded[:len(before)]))
		require.LessOrEqual(t, len(coded)-len(before), len(run)+len(run)/1024+16)
		src.left = append(src.left, coded[len(before):]...)
		src.what = fmt.Sprintf("%s: run %d of %d bytes is not all there", r.name, i, len(run))
		if len(run) == 0 {
			continue
		}
		if in == nil {
			var err error
			in, err = r.open(src)
			require.NoError(t, err)
		}
		got := make([]byte, len(run))
		_, err := io.ReadFull(in, got)
		require.NoError(t, err, src.what)
		require.True(t, bytes.Equal(run, got), "%s: run %d", r.name, i)
	}
}

func TestRunsArriveAtOnce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	sizes := []int{1, 2, 100, 191, 192, 193, 255, 256, 1000, 4096, 32 << 10, 64 << 10, 65535, 65536, 1 << 20, 1<<20 + 1, 0, 3 << 20}
	for range 60 {
		sizes = append(sizes, r.IntN(1<<r.IntN(18)))
	}
	var runs [][]byte
	for _, n := range sizes {
		run := make([]byte, n)
		noise := byte(1 + r.IntN(255)) // from easy to code up to not at all
		for i := range run {
			run[i] = "data: {\"key\":1}\n\n"[i%17]
			if r.IntN(2) == 0 {
				run[i] = byte(r.IntN(int(noise)))
			}
		}
		runs = append(runs, run)
	}
	for _, rec := range receivers {
		requireAtOnce(t, rec, runs)
	}
}

func TestRunsGetShorter(t *testing.T) {
	var run []byte
	for i := range 10 {
		run = fmt.Appendf(run, "id: %d\ndata: {\"symbol\":\"ACME\",\"bid\":%d.5,\"ask\":%d.75,\"venue\":\"XNAS\",\"flags\":[\"live\",\"firm\"]}\n\n", int64(7e9)+int64(i), i, i)
	}
	for _, r := range receivers {
		require.Less(t, len(r.coding.AppendRun(nil, run)), len(run)/3, r.name)
	}
}

func FuzzRuns(f *testing.F) {
	f.Add([]byte("data: a\n\n"), []byte("id: 7\ndata: b\n\n"), uint8(3))
	f.Add(bytes.Repeat([]byte("data: some\n\n"), 50), []byte{}, uint8(200))
	f.Fuzz(func(t *testing.T, a, b []byte, times uint8) {
		runs := [][]byte{a, b, bytes.Repeat(a, int(times)), b, a}
		for _, r := range receivers {
			requireAtOnce(t, r, runs)
		}
	})
}
