package session_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/session"
	"github.com/spatehub/spate/wire"
)

// Times are found where they are said to be, in every form, and nothing is made up
// where there is none.
func TestTimes(t *testing.T) {
	at := time.Date(2026, 11, 27, 21, 0, 0, 123_000_000, time.UTC)
	for _, x := range []struct {
		from, format, data, id string
		want                   int64 // nanoseconds after at; -1 = none
	}{
		{"json:$.ts", "auto", `{"ts":1795813200123}`, "", 0},
		{"json:$.a[1].t", "auto", `{"a":[0,{"t":"2026-11-27T21:00:00.123Z"}]}`, "", 0},
		{"json:$['ts']", "auto", `{"ts":1795813200.123}`, "", 0},
		{"json:ts", "us", `{"ts":"1795813200123456"}`, "", 456_000},
		{"json:ts", "ns", `{"ts":1795813200123456789}`, "", 456_789},
		{"json:ts", "auto", `{"ts":1795813200123456789}`, "", 456_789},
		{"json:ts", "rfc3339", `{"ts":"2026-11-27T22:00:00.123+01:00"}`, "", 0},
		{"json:ts", "2006-01-02 15:04:05.000", `{"ts":"2026-11-27 21:00:00.123"}`, "", 0},
		{"regex:at=(\\d+)", "ms", "x at=1795813200123;", "", 0},
		{"data", "auto", " 1795813200123 ", "", 0},
		{"id", "ms", "x", "1795813200123", 0},
		{"id", "ms", "x", "", -1},
		{"json:$.ts", "auto", `{"ts":null}`, "", -1},
		{"json:$.ts", "auto", `{"other":1}`, "", -1},
		{"json:$.ts", "auto", `no json`, "", -1},
		{"json:$.ts", "s", `{"ts":"soon"}`, "", -1},
		{"json:$.ts", "s", `{"ts":1e300}`, "", -1},
		{"json:$.ts", "s", `{"ts":9223372036854775807}`, "", -1},
		{"regex:at=(\\d+)", "ms", "nothing", "", -1},
	} {
		e, err := session.ParseExtractor(x.from, x.format)
		require.NoError(t, err)
		got, ok := e.Time(&wire.RawEvent{Data: []byte(x.data), ID: []byte(x.id), HasID: x.id != ""})
		require.Equal(t, x.want >= 0, ok, "%+v", x)
		if ok {
			require.InDelta(t, at.UnixNano()+x.want, got, 1000, "%+v", x)
		}
	}
	for _, bad := range []string{"", "json", "json:", "regex:(", "regex:x", "xml:/a"} {
		_, err := session.ParseExtractor(bad, "")
		require.Error(t, err, bad)
	}
	for format, ok := range map[string]bool{"auto": true, "": true, "s": true, "rfc3339": true, "2006-01-02": true, "soon": false} {
		require.Equal(t, ok, session.ValidTimeFormat(format), format)
	}
}
