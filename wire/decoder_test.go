package wire_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/wire"
)

// decode reads r to its end with a Decoder.
func decode(t testing.TB, r io.Reader, opts ...wire.DecoderOption) result {
	t.Helper()
	var res result
	d := wire.NewDecoder(r, opts...)
	for {
		e, err := d.Next()
		if err != nil {
			res.TooLarge = errors.Is(err, wire.ErrEventTooLarge)
			if !res.TooLarge {
				require.ErrorIs(t, err, io.EOF)
			}
			_, again := d.Next()
			require.Equal(t, err, again, "errors stay")
			break
		}
		res.Events = append(res.Events, e)
	}
	res.LastID = d.LastID()
	res.Retry, res.HasRetry = d.Retry()
	return res
}

var streams = []struct {
	name, stream string
	want         []wire.Event
}{
	{"nothing", "", nil},
	{"one", "data: x\n\n", []wire.Event{{Event: "message", Data: "x"}}},
	{"type", "event: add\ndata: 73857293\n\n", []wire.Event{{Event: "add", Data: "73857293"}}},
	{"last type counts", "event: a\nevent: b\ndata: x\n\n", []wire.Event{{Event: "b", Data: "x"}}},
	{"empty type is message", "event: a\nevent\ndata: x\n\n", []wire.Event{{Event: "message", Data: "x"}}},
	{"type is not kept", "event: a\ndata: 1\n\ndata: 2\n\n", []wire.Event{{Event: "a", Data: "1"}, {Event: "message", Data: "2"}}},
	{"type of a block without data is not kept", "event: a\n\ndata: 2\n\n", []wire.Event{{Event: "message", Data: "2"}}},
	{"lines", "data: YHOO\ndata: +2\ndata: 10\n\n", []wire.Event{{Event: "message", Data: "YHOO\n+2\n10"}}},
	{"standard's first example", ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n", []wire.Event{
		{ID: "1", Event: "message", Data: "first event"}, {Event: "message", Data: "second event"}, {Event: "message", Data: " third event"}}},
	{"standard's second example", "data\n\ndata\ndata\n\ndata:", []wire.Event{{Event: "message", Data: ""}, {Event: "message", Data: "\n"}}},
	{"standard's third example", "data:test\n\ndata: test\n\n", []wire.Event{{Event: "message", Data: "test"}, {Event: "message", Data: "test"}}},
	{"CR", "event: a\rdata: x\r\rdata: y\r\r", []wire.Event{{Event: "a", Data: "x"}, {Event: "message", Data: "y"}}},
	{"CRLF", "event: a\r\ndata: x\r\n\r\n", []wire.Event{{Event: "a", Data: "x"}}},
	{"mixed ends", "data: a\rdata: b\r\ndata: c\n\r\n", []wire.Event{{Event: "message", Data: "a\nb\nc"}}},
	{"LFCR is two ends", "data: a\n\rdata: b\n\n", []wire.Event{{Event: "message", Data: "a"}, {Event: "message", Data: "b"}}},
	{"byte order mark", "\ufeffdata: x\n\n", []wire.Event{{Event: "message", Data: "x"}}},
	{"second byte order mark", "\ufeff\ufeffdata: x\n\ndata: y\n\n", []wire.Event{{Event: "message", Data: "y"}}},
	{"byte order mark later", "data: x\n\n\ufeffdata: y\n\n", []wire.Event{{Event: "message", Data: "x"}}},
	{"half a byte order mark", "\xef\xbbdata: x\n\ndata: y\n\n", []wire.Event{{Event: "message", Data: "y"}}},
	{"byte order mark and blank line", "\ufeff\ndata: y\n\n", []wire.Event{{Event: "message", Data: "y"}}},
	{"id is kept", "id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n", []wire.Event{
		{ID: "1", Event: "message", Data: "a"}, {ID: "1", Event: "message", Data: "b"}, {ID: "2", Event: "message", Data: "c"}}},
	{"id without data counts", "id: 1\n\ndata: b\n\n", []wire.Event{{ID: "1", Event: "message", Data: "b"}}},
	{"id with NUL", "id: 1\nid: 2\x003\ndata: a\n\n", []wire.Event{{ID: "1", Event: "message", Data: "a"}}},
	{"empty id", "id: 1\ndata: a\n\nid:\ndata: b\n\n", []wire.Event{{ID: "1", Event: "message", Data: "a"}, {Event: "message", Data: "b"}}},
	{"one space", "data:  x\nid:  7\nevent:  e \n\n", []wire.Event{{ID: " 7", Event: " e ", Data: " x"}}},
	{"tab is no space", "data:\tx\n\n", []wire.Event{{Event: "message", Data: "\tx"}}},
	{"more colons", "data: a:b: c\n\n", []wire.Event{{Event: "message", Data: "a:b: c"}}},
	{"unknown fields", "foo: bar\nData: x\n data: x\ndata : x\ndatax\n\ndata: y\n\n", []wire.Event{{Event: "message", Data: "y"}}},
	{"comments", ":\n: x\n:data: x\ndata: y\n: z\ndata: w\n\n", []wire.Event{{Event: "message", Data: "y\nw"}}},
	{"no blank line", "data: x\n\ndata: y\n", []wire.Event{{Event: "message", Data: "x"}}},
	{"no line end", "data: x\n\ndata: y", []wire.Event{{Event: "message", Data: "x"}}},
	{"CR ends the stream", "data: x\r\r", []wire.Event{{Event: "message", Data: "x"}}},
	{"retry in an event", "retry: 1500\ndata: x\n\ndata: y\n\n", []wire.Event{{Event: "message", Data: "x", Retry: 1500 * time.Millisecond}, {Event: "message", Data: "y"}}},
	{"NUL in data", "data: a\x00b\n\n", []wire.Event{{Event: "message", Data: "a\x00b"}}},
	{"invalid UTF-8", "data: a\xffb\xe2\x82c\xf0\x9f\x98\nevent: \xed\xa0\x80\nid: \xc0\xaf\n\n", []wire.Event{
		{ID: "\ufffd\ufffd", Event: "\ufffd\ufffd\ufffd", Data: "a\ufffdb\ufffdc\ufffd"}}},
	{"UTF-8 cut off", "data: \xe0\xa0,\xe0\x9f,\xed\x9f,\xed\xa0,\xf0\x90\x80,\xf0\x8f,\xf4\x8f,\xf4\x90\n\n", []wire.Event{
		{Event: "message", Data: "\ufffd,\ufffd\ufffd,\ufffd,\ufffd\ufffd,\ufffd,\ufffd\ufffd,\ufffd,\ufffd\ufffd"}}},
	{"line separators of Unicode", "data: a\u2028b\u0085c\n\n", []wire.Event{{Event: "message", Data: "a\u2028b\u0085c"}}},
}

func TestDecoder(t *testing.T) {
	for _, tc := range streams {
		t.Run(tc.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"whole":           strings.NewReader(tc.stream),
				"byte by byte":    iotest.OneByteReader(strings.NewReader(tc.stream)),
				"halves":          iotest.HalfReader(strings.NewReader(tc.stream)),
				"EOF with data":   iotest.DataErrReader(strings.NewReader(tc.stream)),
				"with empty read": &emptyReads{r: strings.NewReader(tc.stream)},
			} {
				require.Equal(t, tc.want, decode(t, r).Events, name)
			}
			// The twin of the fuzz targets must itself be right.
			require.Equal(t, tc.want, twinParse([]byte(tc.stream), wire.DefaultMaxEventSize).Events, "twin")
		})
	}
}

// emptyReads returns nothing before each byte.
type emptyReads struct {
	r     io.Reader
	empty bool
}

func (e *emptyReads) Read(p []byte) (int, error) {
	if e.empty = !e.empty; e.empty {
		return 0, nil
	}
	return e.r.Read(p[:1])
}

func TestDecoderRetry(t *testing.T) {
	for _, tc := range []struct {
		stream string
		want   time.Duration
		ok     bool
	}{
		{"", 0, false},
		{"retry: 10\n", 10 * time.Millisecond, true}, // at once, without a blank line
		{"retry: 10", 0, false},
		{"retry:0\n", 0, true},
		{"retry: 007\n", 7 * time.Millisecond, true},
		{"retry: 1\nretry: 2\n", 2 * time.Millisecond, true},
		{"retry: 5\nretry: x\n", 5 * time.Millisecond, true},
		{"retry\n", 0, false},
		{"retry: -1\n", 0, false},
		{"retry: +1\n", 0, false},
		{"retry:  1\n", 0, false},
		{"retry: 1 \n", 0, false},
		{"retry: 1.5\n", 0, false},
		{"retry: ١\n", 0, false},
		{"retry: 9223372036854\n", 9223372036854 * time.Millisecond, true},
		{"retry: 9223372036855\n", 9223372036854 * time.Millisecond, true},
		{"retry: " + strings.Repeat("9", 100) + "\n", 9223372036854 * time.Millisecond, true},
		{"retry: " + strings.Repeat("9", 100) + "x\n", 0, false},
	} {
		res := decode(t, strings.NewReader(tc.stream))
		require.Equal(t, tc.want, res.Retry, tc.stream)
		require.Equal(t, tc.ok, res.HasRetry, tc.stream)
		require.Equal(t, res, twinParse([]byte(tc.stream), wire.DefaultMaxEventSize), "twin")
	}
}

// The last ID is what a client resumes with: an event cut off must not count.
func TestDecoderLastID(t *testing.T) {
	for stream, want := range map[string]string{
		"":                                 "",
		"id: 1\n":                          "",
		"id: 1\n\n":                        "1",
		"id: 1\ndata: x\n\nid: 2\ndata: y": "1",
		"id: 1\n\nid: 2\n":                 "1",
		"id: 1\n\nid: 2\n\n: x\n\n":        "2",
		"id: 1\n\nid\n\n":                  "",
	} {
		require.Equal(t, want, decode(t, strings.NewReader(stream)).LastID, "%q", stream)
		require.Equal(t, want, decode(t, iotest.OneByteReader(strings.NewReader(stream))).LastID, "%q", stream)
	}
}

// On a resumed stream an event without ID leaves the client where it was.
func TestDecoderWithLastID(t *testing.T) {
	d := wire.NewDecoder(strings.NewReader("event: gap\ndata: x\n\nid: 8\ndata: y\n\n"), wire.WithLastID("7"))
	require.Equal(t, "7", d.LastID())
	e, err := d.Next()
	require.NoError(t, err)
	require.Equal(t, "7", e.ID)
	require.Equal(t, "7", d.LastID())
	_, err = d.Next()
	require.NoError(t, err)
	require.Equal(t, "8", d.LastID())
}

func TestDecoderReaderErrors(t *testing.T) {
	errBoom := errors.New("boom")
	d := wire.NewDecoder(io.MultiReader(strings.NewReader("data: x\n\ndata: y\n"), iotest.ErrReader(errBoom)))
	e, err := d.Next()
	require.NoError(t, err)
	require.Equal(t, "x", e.Data)
	for range 2 {
		_, err = d.Next()
		require.ErrorIs(t, err, errBoom)
	}

	_, err = wire.NewDecoder(nothingReader{}).Next()
	require.ErrorIs(t, err, io.ErrNoProgress)
}

type nothingReader struct{}

func (nothingReader) Read([]byte) (int, error) { return 0, nil }

func TestDecoderMaxEventSize(t *testing.T) {
	const size = 20
	const line = size + wire.LineRoom
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, tc := range []struct {
		name, stream string
		events       int
		tooLarge     bool
	}{
		{"just fits", "data: " + x(20) + "\n\n", 1, false},
		{"one more", "data: " + x(21) + "\n\n", 0, true},
		{"byte order mark is free", "\ufeffdata: " + x(20) + "\n\n", 1, false},
		{"half a byte order mark is free", "\xef\xbb", 0, false},
		{"data of line feeds", strings.Repeat("data: \n", 21) + "\n", 1, false},
		{"one more line feed", strings.Repeat("data\n", 22) + "\n", 0, true},
		{"lines add up", "data: " + x(10) + "\ndata: " + x(9) + "\n\n", 1, false},
		{"lines add up to more", "data: " + x(10) + "\ndata: " + x(10) + "\n\n", 0, true},
		{"other fields are beside the data", "id: 123456\nevent: " + x(99) + "\ndata: " + x(20) + "\n\n", 1, false},
		{"other fields add up", "event: " + x(line/2) + "\nid: " + x(line/2) + "\ndata: x\n\n", 0, true},
		{"events do not", strings.Repeat("data: "+x(20)+"\nid: "+x(900)+"\n\n", 9), 9, false},
		{"comments do not", strings.Repeat(": "+x(line-2)+"\n", 9) + "data: x\n\n", 1, false},
		{"long comment", ": " + x(line-1) + "\n", 0, true},
		{"line without end", "data: x\n\n" + x(line+1), 1, true},
		{"line without end just fits", "data: x\n\n" + x(line), 1, false},
		{"comment without end", ":" + x(line), 0, true},
		{"far too large", "data: x\n\ndata: " + x(5000), 1, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"whole":        strings.NewReader(tc.stream),
				"byte by byte": iotest.OneByteReader(strings.NewReader(tc.stream)),
			} {
				res := decode(t, r, wire.WithMaxEventSize(size))
				require.Len(t, res.Events, tc.events, name)
				require.Equal(t, tc.tooLarge, res.TooLarge, name)
			}
			res := twinParse([]byte(tc.stream), size)
			require.Equal(t, tc.tooLarge, res.TooLarge, "twin")
		})
	}
}

// NextRaw tells the same as Next, and its slices hold until the next call.
func TestDecoderNextRaw(t *testing.T) {
	for _, tc := range streams {
		for name, r := range map[string]io.Reader{
			"whole":        strings.NewReader(tc.stream),
			"byte by byte": iotest.OneByteReader(strings.NewReader(tc.stream)),
		} {
			d := wire.NewDecoder(r)
			var got []wire.Event
			for {
				raw, err := d.NextRaw()
				if err != nil {
					require.ErrorIs(t, err, io.EOF)
					break
				}
				got = append(got, d.Event(raw))
			}
			require.Equal(t, tc.want, got, "%s, %s", tc.name, name)
		}
	}
}

// Comments come in their place between the events.
func TestDecoderWithComments(t *testing.T) {
	const stream = ": one\n:two\ndata: a\n:  three\n\n:\n:four"
	for name, r := range map[string]io.Reader{
		"whole":        strings.NewReader(stream),
		"byte by byte": iotest.OneByteReader(strings.NewReader(stream)),
	} {
		var got []string
		d := wire.NewDecoder(r, wire.WithComments(func(text []byte) { got = append(got, string(text)) }))
		_, err := d.Next()
		require.NoError(t, err)
		require.Equal(t, []string{"one", "two", " three"}, got, name)
		_, err = d.Next()
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, []string{"one", "two", " three", ""}, got, name)
	}
}

// A stream that ends in the middle of an event was cut; one that ends after a
// blank line, or after what makes no event, was not.
func TestDecoderPartial(t *testing.T) {
	for stream, want := range map[string]bool{
		"": false, "\xef\xbb": false, "\ufeff": false, "data: x\n\n": false, "data: x\r\r": false, ": c\n": false, "retry: 1\n": false,
		"data: x\n\n:": true, "data": true, "data\n": true, "data: x\n": true, "id: 1\n": true, "event: x\n": true, "\ufeffd": true,
	} {
		d := wire.NewDecoder(strings.NewReader(stream))
		for {
			if _, err := d.Next(); err != nil {
				break
			}
		}
		require.Equal(t, want, d.Partial(), "%q", stream)
	}
}

// Guard rail: the zero-copy mode allocates nothing in the steady state, whatever
// the sizes of the reads.
func TestDecoderNextRawAllocatesNothing(t *testing.T) {
	for _, size := range []int{64 << 10, 1000, 77} {
		d := wire.NewDecoder(&endless{stream: benchStream(320, "\n"), most: size})
		next := func() {
			if _, err := d.NextRaw(); err != nil {
				t.Fatal(err)
			}
		}
		for range 10_000 {
			next()
		}
		requireNoAllocs(t, "NextRaw", next)
	}
}

// The read buffer follows the stream: it grows under a flood, and is given back
// when the flood is over.
func TestDecoderBufferFollowsTheStream(t *testing.T) {
	flood := &endless{stream: benchStream(320, "\n")}
	d := wire.NewDecoder(flood)
	next := func(n int) {
		for range n {
			_, err := d.NextRaw()
			require.NoError(t, err)
		}
	}
	next(1000)
	require.Equal(t, 32<<10, d.BufferSize())
	flood.most = 100
	next(1000)
	require.Equal(t, 1<<10, d.BufferSize())
}

func TestDecoderDefaultMaxEventSize(t *testing.T) {
	fits := "data: " + strings.Repeat("x", wire.DefaultMaxEventSize)
	for _, opts := range [][]wire.DecoderOption{nil, {wire.WithMaxEventSize(0)}, {wire.WithMaxEventSize(-1)}} {
		require.Len(t, decode(t, strings.NewReader(fits+"\n\n"), opts...).Events, 1)
		require.True(t, decode(t, strings.NewReader(fits+"x\n\n"), opts...).TooLarge)
	}
}
