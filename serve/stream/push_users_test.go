package stream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/jsontext"
)

// whole decodes a body without cutting out its list of users.
func whole(body []byte, users, events int) (*push, *Error) {
	d := pushDecoder{json: json.NewDecoder(bytes.NewReader(body)), maxUsers: users, maxEvents: events, halves: jsontext.MayHaveSurrogates(body)}
	return d.push()
}

var pushBodies = []string{
	`{"uids":["a","b"],"events":[{"data":"x"}]}`,
	" {\t\"uids\" : [ \"a\" ,\n\"b\" ] , \"events\" : [ {\"data\":1} ] } ",
	`{"events":[{"data":{"a":["]",{"uids":["x"]}]}}],"uids":["z","z"]}`,
	`{"events":[{"data":"\"uids\":[\\"}],"uids":["ö","a,b"]}`,
	`{"uids":["a"],"uids":["b"],"events":[{"data":"x"}]}`,
	`{"uids":["a","b","c","d"],"events":[{"data":"x"}]}`,
	`{"uids":[],"events":[{"data":"x"}]}`, `{"uids":null,"events":[{"data":"x"}]}`, `{"uids":"a","events":[]}`,
	`{"uids":["a",],"events":[{"data":"x"}]}`, `{"uids":["a" "b"],"events":[{"data":"x"}]}`, `{"uids":[,"a"]}`, `{"uids":["a",1]}`,
	`{"uids":["a]","b"],"events":[{"data":"x"}]}`, `{"uids":["\u0061","\ud800"],"events":[{"data":"x"}]}`, "{\"uids\":[\"a\nb\"]}",
	`{"uids":[""],"events":[{"data":"x"}]}`, `{"uids":["a\u0000"],"events":[{"data":"x"}]}`, `{"ui\u0064s":["a"],"events":[{"data":"x"}]}`,
	`{"uids":["a"],"events":[{"data":"x"}]} {}`, `{"uids":["a"]`, `{"uids":["a"`, `{"uids":["a"]}`, `["uids",["a"]]`, `{"x":1,"uids":["a"]}`, `{"uids":["a"]]}`, ``,
	`{"uids":["` + strings.Repeat("n", 257) + `"],"events":[{"data":"x"}]}`,
}

// requireSamePush holds that a list of users which is read by itself makes no difference.
func requireSamePush(t *testing.T, body []byte) {
	t.Helper()
	want, refusal := whole(body, 3, 2)
	got, refused := decodePush(body, 3, 2)
	require.Equal(t, refusal, refused, "%q", body)
	require.Equal(t, want, got, "%q", body)
}

func TestUsersReadByThemselves(t *testing.T) {
	for _, body := range pushBodies {
		requireSamePush(t, []byte(body))
	}
	for i, cut := range []bool{true, true, true, true, true, false} {
		_, _, ok := cutUsers([]byte(pushBodies[i]), 3)
		require.Equal(t, cut, ok, pushBodies[i])
	}
}

func FuzzUsersReadByThemselves(f *testing.F) {
	for _, body := range pushBodies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if utf8.Valid(body) {
			requireSamePush(t, body)
		}
	})
}

// A list of ten thousand names costs a handful of allocations, not some for each.
func TestUsersCostNoAllocationEach(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"uids":["u"`)
	for i := range 9_999 {
		fmt.Fprintf(&b, `,"user-%d"`, i)
	}
	b.WriteString(`],"events":[{"data":"x"}]}`)
	body := []byte(b.String())
	n := testing.AllocsPerRun(5, func() {
		p, refusal := decodePush(body, 10_000, 1)
		require.Nil(t, refusal)
		require.Len(t, p.uids, 10_000)
	})
	require.Less(t, n, 200.0)
}
