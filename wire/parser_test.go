package wire_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/wire"
)

// feed gives stream to a Parser, cut at random; the Decoder's tests hold the
// conversion of texts, so here they are only what twinDecodeUTF8 makes of them.
func feed(t testing.TB, stream []byte, maxSize int, rng *rand.Rand) result {
	t.Helper()
	var res result
	p := &wire.Parser{MaxEventSize: maxSize}
	for rest := stream; len(rest) > 0; {
		n := 1 + rng.IntN(min(len(rest), 1+rng.IntN(40)))
		// A chunk of its own, spoiled afterwards: nothing may point to it.
		chunk := append([]byte(nil), rest[:n]...)
		rest = rest[n:]
		err := p.Feed(chunk, func(ev wire.RawEvent) error {
			e := wire.Event{ID: twinDecodeUTF8(ev.ID), Event: twinDecodeUTF8(ev.Event), Data: twinDecodeUTF8(ev.Data), Retry: ev.Retry}
			if e.Event == "" {
				e.Event = wire.DefaultEventType
			}
			res.Events = append(res.Events, e)
			return nil
		})
		for i := range chunk {
			chunk[i] = '#'
		}
		if err != nil {
			require.ErrorIs(t, err, wire.ErrEventTooLarge)
			require.Equal(t, err, p.Feed([]byte("data: x\n\n"), nil), "errors stay")
			res.TooLarge = true
			break
		}
	}
	res.LastID = twinDecodeUTF8(p.LastID())
	res.Retry, res.HasRetry = p.Retry()
	return res
}

// Any chunking gives the same events, and the Parser keeps nothing of a chunk.
func TestParserAnyChunking(t *testing.T) {
	seed, rng := newRand(t)
	for range 50 {
		for _, tc := range streams {
			got := feed(t, []byte(tc.stream), 0, rng)
			require.Equal(t, tc.want, got.Events, "%s (replay with SPATETEST_SEED=%d)", tc.name, seed)
		}
	}
}

// newRand returns a generator whose seed is in the test's log; the environment
// variable SPATETEST_SEED replays one.
func newRand(t testing.TB) (uint64, *rand.Rand) {
	seed := rand.Uint64()
	if s := os.Getenv("SPATETEST_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("replay with SPATETEST_SEED=%d", seed)
	return seed, rand.New(rand.NewPCG(seed, seed))
}

// A stream without end must not make the parser hold more than its bound and
// one chunk.
func TestParserMemoryBound(t *testing.T) {
	p := &wire.Parser{MaxEventSize: 1 << 16}
	chunk := []byte(strings.Repeat("x", 1000))
	var fed int
	for p.Feed(chunk, nil) == nil {
		fed += len(chunk)
		require.LessOrEqual(t, fed, 1<<16+wire.LineRoom)
	}
	require.LessOrEqual(t, p.Buffered(), 1<<17)
}

// Large buffers go back when their event is over, so that one large event does
// not cost each of many streams its size for good.
func TestParserDropsLargeBuffers(t *testing.T) {
	var p wire.Parser
	large := strings.Repeat("x", 500_000)
	got := 0
	for _, chunk := range []string{
		"id: 1\ndata: " + large, large[:100_000] + "\nda", "ta: y\n", "\n",
		"event: " + large + "\n", "id: " + large + "\n", "data: z\n", "\n", "id: 2\n\n",
	} {
		require.NoError(t, p.Feed([]byte(chunk), func(wire.RawEvent) error { got++; return nil }))
		require.LessOrEqual(t, p.Buffered(), 3<<20)
	}
	require.Equal(t, 2, got)
	require.LessOrEqual(t, p.Buffered(), 1<<16, "with the large ID gone too")
}

func TestParserCallbackError(t *testing.T) {
	errStop := errors.New("stop")
	var p wire.Parser
	n := 0
	fn := func(wire.RawEvent) error { n++; return errStop }
	chunk := []byte("id: 1\ndata: x\n\nid: 2\ndata: y\n\ndata: z")
	require.ErrorIs(t, p.Feed(chunk, fn), errStop)
	clear(chunk)
	require.Equal(t, "1", string(p.LastID()))
	require.ErrorIs(t, p.Feed([]byte("data: x\n\n"), fn), errStop)
	require.Equal(t, 1, n)

	p.Reset()
	require.Empty(t, p.LastID())
	require.NoError(t, p.Feed([]byte("\ufeffdata: x\n\n"), func(ev wire.RawEvent) error {
		require.Equal(t, "x", string(ev.Data))
		require.Empty(t, ev.ID)
		return nil
	}))
}

func TestParserHasID(t *testing.T) {
	var p wire.Parser
	var got []string
	err := p.Feed([]byte("id: 1\ndata\n\ndata\n\nid\ndata\n\nid: \x00\ndata\n\n"), func(ev wire.RawEvent) error {
		got = append(got, fmt.Sprintf("%s %v", ev.ID, ev.HasID))
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"1 true", "1 false", " true", " false"}, got)
}

func TestParserComments(t *testing.T) {
	var p wire.Parser
	require.NoError(t, p.Feed([]byte(":\n\n: hb"), nil))
	require.EqualValues(t, 1, p.Comments(), "the second is not over")
	require.NoError(t, p.Feed([]byte("\r"), nil))
	require.NoError(t, p.Feed([]byte("\n:x\ny:z\n"), nil))
	require.EqualValues(t, 3, p.Comments())
	p.Reset()
	require.Zero(t, p.Comments())
}

// Searching line ends must take time in proportion to the stream, whatever mix
// of them it has. These take milliseconds so; to search for the end that never
// comes from each line anew would take the better part of a minute.
func TestParserLinear(t *testing.T) {
	for _, line := range []string{"x\r", "x\n"} {
		p := wire.Parser{MaxEventSize: 1 << 30}
		stream := []byte(strings.Repeat(line, 1<<20))
		requireFast(t, func() {
			require.NoError(t, p.Feed(stream, func(wire.RawEvent) error { return nil }))
		})
	}
}

func requireFast(t *testing.T, fn func()) {
	t.Helper()
	begin := time.Now()
	fn()
	require.Less(t, time.Since(begin), 10*time.Second)
}

// Guard rail: parsing allocates nothing in the steady state, whole events and
// split ones, one line of data and several.
func TestParserAllocatesNothing(t *testing.T) {
	stream := []byte(strings.Repeat("id: 1718000000000001\nevent: order\ndata: "+strings.Repeat("x", 200)+
		"\n\n: hb\n\nid: 1718000000000002\nretry: 1000\ndata: a\r\ndata: b\r\n\r\n", 20))
	for _, size := range []int{len(stream), 1000, 77, 3} {
		var p wire.Parser
		n := 0
		fn := func(wire.RawEvent) error { n++; return nil }
		requireNoAllocs(t, fmt.Sprintf("chunks of %d", size), func() {
			for i := 0; i < len(stream); i += size {
				_ = p.Feed(stream[i:min(i+size, len(stream))], fn)
			}
		})
		require.Positive(t, n)
	}
}
