package mimetype_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client/internal/mimetype"
)

func TestEssence(t *testing.T) {
	const stream, html = "text/event-stream", "text/html"
	for _, tc := range []struct {
		values []string
		want   string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{stream}, stream},
		{[]string{" \tText/Event-Stream \t"}, stream},
		{[]string{stream + ";charset=utf-8"}, stream},
		{[]string{stream + " ; charset=utf-8"}, stream},
		{[]string{stream + ";charset=utf-8;charset=UTF-8"}, stream},
		{[]string{stream + ";charset=utf-16"}, stream}, // a stream is UTF-8 whatever its type says
		{[]string{stream + ";"}, stream},
		{[]string{stream + ";;=;x"}, stream},
		{[]string{stream + `;x="a,b"`}, stream},
		{[]string{stream + `;x="a\",` + html + `"`}, stream},
		{[]string{stream + `;x="` + "," + html}, stream}, // a quote without end
		{[]string{stream + ", " + stream}, stream},
		{[]string{html + ", " + stream}, stream},
		{[]string{stream + ", " + html}, html},
		{[]string{html, stream}, stream},
		{[]string{stream, html}, html},
		{[]string{stream, ""}, stream},
		{[]string{stream + ", "}, stream},
		{[]string{stream + ", */*"}, stream},
		{[]string{stream + ", nonsense"}, stream},
		{[]string{"*/*"}, ""},
		{[]string{"text"}, ""},
		{[]string{"text/"}, ""},
		{[]string{"/event-stream"}, ""},
		{[]string{"text /event-stream"}, ""},
		{[]string{"text/event-stream x"}, ""},
		{[]string{"text/event/stream"}, ""},
		{[]string{"text/event-stream-not"}, "text/event-stream-not"},
	} {
		require.Equal(t, tc.want, mimetype.Essence(tc.values), "%q", tc.values)
	}
}

// Whatever a server sends: no panic, and what comes out is a type.
func FuzzEssence(f *testing.F) {
	for _, s := range []string{"text/event-stream", `a/b;x="\`, `,",",a/b`, "a/b,*/*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := mimetype.Essence([]string{value})
		if got == "" {
			return
		}
		require.Equal(t, 1, strings.Count(got, "/"))
		require.Equal(t, got, mimetype.Essence([]string{got}))
		require.Contains(t, strings.ToLower(value), got)
	})
}
