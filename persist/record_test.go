package persist_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
)

// TestFor holds invariant 4 for the filter that live delivery and resend share.
func TestFor(t *testing.T) {
	topics := func(want string) func(string) bool { return func(t string) bool { return t == want } }
	for _, c := range []struct {
		rec   persist.Record
		uid   string
		topic func(string) bool
		want  bool
	}{
		{persist.Record{}, "", nil, true},
		{persist.Record{}, "u", topics("t"), true},
		{persist.Record{Topic: "t"}, "u", nil, false},
		{persist.Record{Topic: "t"}, "u", topics("t"), true},
		{persist.Record{Topic: "t"}, "u", topics("x"), false},
		{persist.Record{Users: []string{"u"}}, "u", nil, true},
		{persist.Record{Users: []string{"u"}}, "", nil, false},
		{persist.Record{Users: []string{"u"}}, "U", nil, false},
		{persist.Record{Users: []string{"a", "u"}, Topic: "t"}, "u", topics("t"), true},
		{persist.Record{Users: []string{"a", "u"}, Topic: "t"}, "u", topics("x"), false},
		{persist.Record{Users: []string{}}, "u", nil, false},
	} {
		require.Equal(t, c.want, c.rec.For(c.uid, c.topic), "%+v for %q", c.rec, c.uid)
	}
}
