package stamp_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/stamp"
)

func example() stamp.Stamp {
	return stamp.Stamp{Run: 0xdeadbeef, Lane: 3, Kind: stamp.User, Index: 59_999, Seq: 1 << 40, Sent: 1_795_000_000_123_456_789, Size: 200}
}

func TestWhatIsStampedIsReadBack(t *testing.T) {
	for _, s := range []stamp.Stamp{
		example(),
		{Kind: stamp.Broadcast, Seq: 1, Size: 100},
		{Run: math.MaxUint32, Lane: math.MaxUint32, Kind: stamp.Topic, Index: math.MaxUint32, Seq: math.MaxUint64, Sent: math.MaxInt64, Size: 64 << 10},
	} {
		data := stamp.Append(nil, s)
		require.Len(t, data, int(s.Size))
		got, v := stamp.Parse(data)
		require.Equal(t, stamp.Intact, v)
		require.Equal(t, s, got)
	}
}

// Every wanted size gives an event of that size, or of the mark's own length
// where the size is too small, and reads back as intact.
func TestSizesAroundTheMarkItself(t *testing.T) {
	s := example()
	s.Size = 0
	least := len(stamp.Append(nil, s))
	for size := range 300 {
		s.Size = uint32(size)
		data := stamp.Append([]byte("before"), s)[len("before"):]
		require.Len(t, data, max(size, least), "size %d", size)
		got, v := stamp.Parse(data)
		require.Equal(t, stamp.Intact, v, "size %d: %s", size, data)
		require.EqualValues(t, len(data), got.Size)
	}
}

func TestStampIsFoundInsideEnvelopes(t *testing.T) {
	s := example()
	data := stamp.Append(nil, s)
	quoted, err := json.Marshal(string(data))
	require.NoError(t, err)
	wrapped, err := json.Marshal(map[string]any{"channel": "c", "pub": map[string]any{"data": string(data)}})
	require.NoError(t, err)
	for _, d := range [][]byte{quoted, wrapped} {
		got, v := stamp.Parse(d)
		require.Equal(t, stamp.Intact, v, "%s", d)
		require.Equal(t, s, got)
	}
}

// Whatever happens to an event on its way: a byte changed anywhere, or bytes
// missing at its end, and it is corrupt, never received and never foreign.
func TestDamageIsSeen(t *testing.T) {
	payload := []byte(`{"price":12.5}`)
	for _, data := range [][]byte{stamp.Append(nil, example()), stamp.Wrap(nil, example(), payload)} {
		for n := len(stamp.Marker); n < len(data); n++ {
			_, v := stamp.Parse(data[:n])
			require.Equal(t, stamp.Corrupt, v, "cut to %d", n)
		}
		for at := range data {
			for bit := range 8 {
				bad := bytes.Clone(data)
				bad[at] ^= 1 << bit
				_, v := stamp.Parse(bad)
				require.Equal(t, stamp.Corrupt, v, "bit %d of byte %d: %s", bit, at, bad)
			}
		}
	}
	for _, d := range []string{"", "@", "hello", "@lt1.1.1.b0.1.1.30;xxxx", "a.b.c.d.e.f.g.h;"} {
		_, v := stamp.Parse([]byte(d))
		require.Equal(t, stamp.Missing, v, d)
	}
}

// A part of a stamp's head is no fault, and tells nothing yet; what can't become
// a stamp is told at once.
func TestHeadsInPieces(t *testing.T) {
	b := stamp.Append(nil, example())
	_, head, ok := stamp.ParseHead(b)
	require.True(t, ok)
	require.Equal(t, byte(';'), b[head-1])
	for n := range head {
		_, h, ok := stamp.ParseHead(b[:n])
		require.True(t, ok)
		require.Zero(t, h)
	}
	for _, bad := range []string{
		"x", "@lt1.", "@lt2.g", "@lt2.1.0.z0.1.1.50.00000000;", "@lt2..0.b0.1.1.50.00000000;", "@lt2.1.0.b0.0.1.50.00000000;",
		"@lt2.1.0.b0.1.1.2.00000000;", "@lt2.1.0.b0.1.1.50.0000000;", "@lt2.111111111.0.b", "@lt2.1.0.b0.11111111111111111.",
	} {
		_, _, ok := stamp.ParseHead([]byte(bad))
		require.False(t, ok, bad)
	}
}

// A service's own publisher numbers each addressee's events from 1.
func TestSequence(t *testing.T) {
	due := time.Unix(1_800_000_000, 5)
	s := stamp.NewSequence(0xabc, 2)
	for i, want := range []stamp.Stamp{
		{Kind: stamp.Broadcast, Seq: 1}, {Kind: stamp.User, Index: 7, Seq: 1}, {Kind: stamp.Broadcast, Seq: 2}, {Kind: stamp.User, Index: 7, Seq: 2},
	} {
		content := strings.Repeat("y", i*100)
		data := s.Event([]byte("before"), want.Kind, want.Index, due, []byte(content))[len("before"):]
		require.True(t, strings.HasSuffix(string(data), ";"+content))
		got, v := stamp.Parse(data)
		require.Equal(t, stamp.Intact, v)
		want.Run, want.Lane, want.Sent, want.Size = 0xabc, 2, due.UnixNano(), uint32(len(data))
		require.Equal(t, want, got)
	}
}

// The recipe of docs/loadtest.md for other languages gives the same bytes.
func TestRecipeOfTheDocuments(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	text, err := os.ReadFile("../../docs/loadtest.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "```python\n")
	require.True(t, found)
	recipe, _, _ := strings.Cut(rest, "```")
	for _, content := range []string{"", "hello", strings.Repeat("z", 187), strings.Repeat("z", 4000)} {
		cmd := exec.CommandContext(t.Context(), python, "-c", recipe+"\nimport sys\nsys.stdout.write(stamp(0xabc, 1, 'u', 7, 300, 1795000000123456789, sys.argv[1]))", content)
		out, err := cmd.Output()
		require.NoError(t, err)
		require.Equal(t, string(stamp.Wrap(nil, stamp.Stamp{Run: 0xabc, Lane: 1, Kind: stamp.User, Index: 7, Seq: 300, Sent: 1795000000123456789}, []byte(content))), string(out))
	}
}

func TestNoAllocationPerStamp(t *testing.T) {
	s := example()
	buf := make([]byte, 0, 512)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		buf = stamp.Append(buf[:0], s)
		if _, v := stamp.Parse(buf); v != stamp.Intact {
			t.Fatal("not read back")
		}
	}))
}

func FuzzParse(f *testing.F) {
	f.Add(stamp.Append(nil, example()))
	f.Add([]byte(`"@lt2.1.1.b0.1.1.20.00000000;`))
	f.Add([]byte("@lt2.0.0.b0.1.0.0.00000000;")) // states a size below the mark's own
	f.Fuzz(func(t *testing.T, data []byte) {
		s, v := stamp.Parse(data)
		if v != stamp.Intact {
			return
		}
		again, v := stamp.Parse(stamp.Append(nil, s))
		if v != stamp.Intact {
			t.Fatalf("%+v does not survive", s)
		}
		s.Size = again.Size // the fuzzer may state sizes too small for the mark
		if again != s {
			t.Fatalf("%+v became %+v", s, again)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	data := stamp.Append(nil, example())
	b.ReportAllocs()
	for b.Loop() {
		if _, v := stamp.Parse(data); v != stamp.Intact {
			b.Fatal("not read back")
		}
	}
}
