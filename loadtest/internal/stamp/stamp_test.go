package stamp_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/stamp"
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

// An event cut short, or with a damaged mark, is corrupt and never counted as
// received; foreign events have no stamp.
func TestDamageIsSeen(t *testing.T) {
	data := stamp.Append(nil, example())
	for n := len(stamp.Marker); n < len(data); n++ {
		_, v := stamp.Parse(data[:n])
		require.Equal(t, stamp.Corrupt, v, "cut to %d", n)
	}
	for _, d := range []string{
		"@lt1.g.1.b0.1.1.30;", "@lt1.1.1.q0.1.1.10;", "@lt1.1.1.b0.0.1.10;",
		"@lt1.11111111111111111.1.b0.1.1.10;", "@lt1.1..b0.1.1.10;", "@lt1.1.1.",
	} {
		_, v := stamp.Parse([]byte(d + "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx"))
		require.Equal(t, stamp.Corrupt, v, d)
	}
	for _, d := range []string{"", "@", "hello", "@lt2.1.1"} {
		_, v := stamp.Parse([]byte(d))
		require.Equal(t, stamp.Missing, v, d)
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
	f.Add([]byte(`"@lt1.1.1.b0.1.1.20;`))
	f.Add([]byte("@lt1.0.0.b0.1.0.0;")) // states a size below the mark's own
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
