package wire_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/wire"
)

func TestAppendEventFrames(t *testing.T) {
	for _, tc := range []struct {
		name  string
		event wire.Event
		want  string
	}{
		{"string", wire.Event{ID: "7", Event: "order", Data: "hello"}, "id: 7\nevent: order\ndata: hello\n\n"},
		{"no id, no type", wire.Event{Data: "hello"}, "data: hello\n\n"},
		{"default type is written when named", wire.Event{Event: "message", Data: "x"}, "event: message\ndata: x\n\n"},
		{"bytes", wire.Event{Data: []byte("hello")}, "data: hello\n\n"},
		{"raw JSON as it is", wire.Event{Data: json.RawMessage(`{"a": 1}`)}, "data: {\"a\": 1}\n\n"},
		{"raw JSON over two lines", wire.Event{Data: json.RawMessage("{\n}")}, "data: {\ndata: }\n\n"},
		{"struct", wire.Event{Data: struct{ A int }{1}}, "data: {\"A\":1}\n\n"},
		{"number", wire.Event{Data: 1.5}, "data: 1.5\n\n"},
		{"nil pointer is JSON null", wire.Event{Data: (*int)(nil)}, "data: null\n\n"},
		{"JSON without HTML escaping", wire.Event{Data: map[string]string{"a": "<b>&"}}, "data: {\"a\":\"<b>&\"}\n\n"},
		{"JSON escapes line ends by itself", wire.Event{Data: []string{"a\r\nb"}}, "data: [\"a\\r\\nb\"]\n\n"},
		{"empty string", wire.Event{Data: ""}, "data: \n\n"},
		{"nil bytes", wire.Event{Data: []byte(nil)}, "data: \n\n"},
		{"leading space survives", wire.Event{Event: " t", Data: " x"}, "event:  t\ndata:  x\n\n"},
		{"LF", wire.Event{Data: "a\nb"}, "data: a\ndata: b\n\n"},
		{"CR", wire.Event{Data: "a\rb"}, "data: a\ndata: b\n\n"},
		{"CRLF", wire.Event{Data: "a\r\nb"}, "data: a\ndata: b\n\n"},
		{"LFCR is two", wire.Event{Data: "a\n\rb"}, "data: a\ndata: \ndata: b\n\n"},
		{"CRCRLFLF is three", wire.Event{Data: "a\r\r\n\nb"}, "data: a\ndata: \ndata: \ndata: b\n\n"},
		{"only a line end", wire.Event{Data: "\n"}, "data: \ndata: \n\n"},
		{"only CRLF", wire.Event{Data: "\r\n"}, "data: \ndata: \n\n"},
		{"CR at the end", wire.Event{Data: "a\r"}, "data: a\ndata: \n\n"},
		{"other line separators are text", wire.Event{Data: "a\u2028b\u0085c\vd"}, "data: a\u2028b\u0085c\vd\n\n"},
		{"NUL in data is text", wire.Event{Data: "a\x00b"}, "data: a\x00b\n\n"},
		{"retry", wire.Event{Retry: 1500 * time.Millisecond, Data: "x"}, "retry: 1500\ndata: x\n\n"},
		{"retry rounds up", wire.Event{Retry: time.Microsecond, Data: "x"}, "retry: 1\ndata: x\n\n"},
		{"longest retry", wire.Event{Retry: math.MaxInt64, Data: "x"}, "retry: 9223372036855\ndata: x\n\n"},
		{"topic, users and key stay off the wire", wire.Event{Topic: "t", Users: []string{"u"}, Key: "k", Data: "x"}, "data: x\n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.NoError(t, tc.event.Validate())
			got, err := wire.AppendEvent([]byte("before"), &tc.event)
			require.NoError(t, err)
			require.Equal(t, "before"+tc.want, string(got))

			body, err := wire.AppendBody(nil, &tc.event)
			require.NoError(t, err)
			if tc.event.ID != "" {
				tc.want = strings.TrimPrefix(tc.want, "id: "+tc.event.ID+"\n")
			}
			require.Equal(t, tc.want, string(body))
		})
	}
}

type badMarshaler struct{ err error }

func (m badMarshaler) MarshalJSON() ([]byte, error) { return []byte("\"\xff\""), m.err }

// Invariant 7: nothing that would add a field, an event or a header is written.
func TestAppendEventRefuses(t *testing.T) {
	errBoom := errors.New("boom")
	long := strings.Repeat("x", wire.MaxNameLen+1)
	for _, tc := range []struct {
		name, field string
		event       wire.Event
	}{
		{"LF in id", "id", wire.Event{ID: "1\ndata: x", Data: ""}},
		{"CR in id", "id", wire.Event{ID: "1\r", Data: ""}},
		{"NUL in id", "id", wire.Event{ID: "\x00", Data: ""}},
		{"UTF-8 in id", "id", wire.Event{ID: "\xff", Data: ""}},
		{"LF in type", "event", wire.Event{Event: "a\n", Data: ""}},
		{"CR in type", "event", wire.Event{Event: "a\rdata: x", Data: ""}},
		{"NUL in type", "event", wire.Event{Event: "a\x00", Data: ""}},
		{"UTF-8 in type", "event", wire.Event{Event: "a\xc3", Data: ""}},
		{"nil data", "data", wire.Event{}},
		{"UTF-8 in string", "data", wire.Event{Data: "a\xed\xa0\x80"}},
		{"UTF-8 in bytes", "data", wire.Event{Data: []byte("a\n\xff")}},
		{"UTF-8 in raw JSON", "data", wire.Event{Data: json.RawMessage("\"\xff\"")}},
		{"LF in topic", "topic", wire.Event{Topic: "\n", Data: ""}},
		{"UTF-8 in topic", "topic", wire.Event{Topic: "\xff", Data: ""}},
		{"long topic", "topic", wire.Event{Topic: long, Data: ""}},
		{"NUL in key", "key", wire.Event{Key: "\x00", Data: ""}},
		{"UTF-8 in key", "key", wire.Event{Key: "\xff", Data: ""}},
		{"long key", "key", wire.Event{Key: long, Data: ""}},
		{"no users", "users", wire.Event{Users: []string{}, Data: ""}},
		{"empty user", "users", wire.Event{Users: []string{"a", ""}, Data: ""}},
		{"NUL in user", "users", wire.Event{Users: []string{"a\x00"}, Data: ""}},
		{"UTF-8 in user", "users", wire.Event{Users: []string{"\xff"}, Data: ""}},
		{"long user", "users", wire.Event{Users: []string{long}, Data: ""}},
		{"negative retry", "retry", wire.Event{Retry: -1, Data: ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			requireFieldError(t, tc.field, tc.event.Validate())
			requireRefused(t, tc.field, &tc.event)
		})
	}

	t.Run("nil event", func(t *testing.T) {
		requireFieldError(t, "event", (*wire.Event)(nil).Validate())
		requireRefused(t, "event", nil)
	})
	t.Run("no JSON form", func(t *testing.T) {
		requireRefused(t, "data", &wire.Event{ID: "1", Event: "e", Data: func() {}})
	})
	t.Run("JSON form is not UTF-8", func(t *testing.T) {
		requireRefused(t, "data", &wire.Event{Data: badMarshaler{}})
	})
	t.Run("cause of a marshaler", func(t *testing.T) {
		_, err := wire.AppendEvent(nil, &wire.Event{Data: badMarshaler{errBoom}})
		require.ErrorIs(t, err, errBoom)
		require.ErrorContains(t, err, `"data"`)
	})
}

func requireFieldError(t *testing.T, field string, err error) {
	t.Helper()
	var fe *wire.FieldError
	require.ErrorAs(t, err, &fe)
	require.Equal(t, field, fe.Field)
	require.ErrorContains(t, err, field)
}

// requireRefused also holds that a refusal leaves dst as it was.
func requireRefused(t *testing.T, field string, e *wire.Event) {
	t.Helper()
	dst := append(make([]byte, 0, 512), "before"...)
	got, err := wire.AppendEvent(dst, e)
	requireFieldError(t, field, err)
	require.Equal(t, "before", string(got))
	got, err = wire.AppendBody(dst, e)
	requireFieldError(t, field, err)
	require.Equal(t, "before", string(got))
}

// A marshaler's failure must not spoil the pooled encoder for the next event.
func TestAppendEventAfterJSONError(t *testing.T) {
	for range 100 {
		_, err := wire.AppendEvent(nil, &wire.Event{Data: make(chan int)})
		require.Error(t, err)
		got, err := wire.AppendEvent(nil, &wire.Event{Data: 1})
		require.NoError(t, err)
		require.Equal(t, "data: 1\n\n", string(got))
	}
}

func TestAppendComment(t *testing.T) {
	for text, want := range map[string]string{
		"":                   ":\n",
		"hb":                 ": hb\n",
		"a\nb":               ": a\n: b\n",
		"a\rdata: x":         ": a\n: data: x\n",
		"a\r\n\r\ndata: x\n": ": a\n:\n: data: x\n:\n",
	} {
		require.Equal(t, "x"+want, string(wire.AppendComment([]byte("x"), text)), "%q", text)
	}
}

func TestAppendRetry(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                            "retry: 0\n",
		-time.Second:                 "retry: 0\n",
		1:                            "retry: 1\n",
		3 * time.Second:              "retry: 3000\n",
		time.Second + 1:              "retry: 1001\n",
		time.Duration(math.MaxInt64): "retry: 9223372036855\n",
	} {
		require.Equal(t, "x"+want, string(wire.AppendRetry([]byte("x"), d)), d.String())
	}
}

// Splitting data must take time in proportion to its size, whatever mix of line
// ends it has; see TestParserLinear.
func TestSplitLinesLinear(t *testing.T) {
	const n = 1 << 21
	for _, end := range []string{"\r", "\n", "\r\n"} {
		data := strings.Repeat(end, n)
		requireFast(t, func() {
			got, err := wire.AppendBody(nil, &wire.Event{Data: data})
			require.NoError(t, err)
			require.Equal(t, n+1, strings.Count(string(got), "data: \n"))
		})
	}
}

// Guard rail: what the encoder may allocate is nothing.
func TestEncodeAllocatesNothing(t *testing.T) {
	line := strings.Repeat("x", 200)
	lines := strings.Repeat("x\r\ny\nz\r", 50)
	users := []string{"u1", "u2"}
	buf := make([]byte, 0, 4096)
	for name, e := range map[string]*wire.Event{
		"string":         {ID: "123", Event: "e", Topic: "t", Key: "k", Users: users, Data: line, Retry: time.Second},
		"bytes":          {ID: "123", Event: "e", Data: []byte(line)},
		"raw JSON":       {ID: "123", Data: json.RawMessage(`{"a":"b"}`)},
		"string of many": {ID: "123", Data: lines},
		"bytes of many":  {ID: "123", Data: []byte(lines)},
	} {
		requireNoAllocs(t, name+"/AppendEvent", func() { sink, _ = wire.AppendEvent(buf, e) })
		requireNoAllocs(t, name+"/AppendBody", func() { sink, _ = wire.AppendBody(buf, e) })
		requireNoAllocs(t, name+"/Validate", func() { _ = e.Validate() })
	}
	requireNoAllocs(t, "AppendComment", func() { sink = wire.AppendComment(buf, lines) })
	requireNoAllocs(t, "AppendRetry", func() { sink = wire.AppendRetry(buf, time.Hour) })
	b := make([]byte, wire.IDHeadroom)
	requireNoAllocs(t, "PutID", func() { wire.PutID(b, math.MaxUint64) })
	requireNoAllocs(t, "PutChunk", func() { wire.PutChunk(b, wire.ChunkHeadroom, math.MaxInt32) })
	requireNoAllocs(t, "AppendChunk", func() { sink = wire.AppendChunk(buf, b) })
	requireNoAllocs(t, "ParseID", func() { _, _ = wire.ParseID("18446744073709551615") })
}

var sink []byte

func requireNoAllocs(t *testing.T, what string, fn func()) {
	t.Helper()
	require.Zero(t, testing.AllocsPerRun(200, fn), what)
}
