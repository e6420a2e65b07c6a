package wire_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/wire"
)

// FuzzRoundTrip: what is encoded is decoded as the same event, alone, whatever
// its texts; what is refused has a cause to be. (Invariant 7.)
func FuzzRoundTrip(f *testing.F) {
	f.Add("1", "message", "hello", uint32(0), "")
	f.Add("", "", "", uint32(1), "hb")
	f.Add("18446744073709551615", " order", " a\nb\r\nc\rd ", uint32(3000), "a\rdata: x\n\n")
	f.Add("1\ndata: x", "e\r\n\r\ndata: x", "x\n\nid: 7\ndata: y", uint32(0), "\r\n")
	f.Add("\x00", "\xff", "\xed\xa0\x80", uint32(0), "\xff")
	f.Add("\ufeff", "\ufeff", "\ufeff\u2028\u0085", uint32(0), "\ufeff")
	f.Add(":", ":", ":\n:\n", uint32(0), ":")
	f.Fuzz(func(t *testing.T, id, event, data string, retry uint32, comment string) {
		e := &wire.Event{ID: id, Event: event, Data: data, Retry: time.Duration(retry) * time.Millisecond}
		frame, err := wire.AppendEvent(nil, e)
		asBytes, errBytes := wire.AppendEvent(nil, &wire.Event{ID: id, Event: event, Data: []byte(data), Retry: e.Retry})
		require.Equal(t, frame, asBytes)
		require.Equal(t, err, errBytes)
		bad := strings.ContainsAny(id+event, "\r\n\x00") || !utf8.ValidString(id) || !utf8.ValidString(event) || !utf8.ValidString(data)
		require.Equal(t, bad, err != nil)
		require.Equal(t, err, e.Validate())
		if bad {
			require.Empty(t, frame)
			return
		}

		want := *e
		want.Data = strings.ReplaceAll(strings.ReplaceAll(data, "\r\n", "\n"), "\r", "\n")
		if event == "" {
			want.Event = wire.DefaultEventType
		}
		// Between comments and a neighbour, to see that it neither leaks nor takes.
		var stream []byte
		stream = wire.AppendComment(stream, comment)
		stream = append(stream, frame...)
		stream = wire.AppendComment(stream, comment)
		stream = append(stream, "id: end\ndata: end\n\n"...)
		got := decode(t, bytes.NewReader(stream), wire.WithMaxEventSize(1<<30))
		require.Equal(t, []wire.Event{want, {ID: "end", Event: "message", Data: "end"}}, got.Events)
	})
}

// FuzzDecoder: Decoder and Parser tell the same as the slow twin, for any
// stream in any chunking, with a bound that bites and one that does not.
func FuzzDecoder(f *testing.F) {
	for i, s := range streams {
		f.Add([]byte(s.stream), uint16(i*5), uint64(i))
	}
	f.Add([]byte("retry: 10\rid: 4\r\rdata: x\r\n\r\n: comment"), uint16(9), uint64(1))
	f.Add([]byte("\xef\xbb"), uint16(1), uint64(1))
	f.Add([]byte("\xef\xbb\xbf:\r\n\xef\xbb\xbf"), uint16(2), uint64(1))
	f.Fuzz(func(t *testing.T, stream []byte, bound uint16, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, seed))
		for _, size := range []int{int(bound)%64 + 1, wire.DefaultMaxEventSize} {
			want := twinParse(stream, size)
			for name, r := range map[string]io.Reader{
				"whole":        bytes.NewReader(stream),
				"byte by byte": iotest.OneByteReader(bytes.NewReader(stream)),
			} {
				require.Equal(t, want, decode(t, r, wire.WithMaxEventSize(size)), name)
			}
			require.Equal(t, want, feed(t, stream, size, rng), "random chunks")
		}
	})
}
