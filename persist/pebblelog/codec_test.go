package pebblelog_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/pebblelog"
)

// FuzzValue holds that any record is decoded as it was encoded, and that no bytes
// make the decoder do worse than return an error.
func FuzzValue(f *testing.F) {
	f.Add("topic", "key", "u1,u2", int64(1), []byte("id: 1\n\n"))
	f.Add("", "", "", int64(-1), []byte(nil))
	f.Add(strings.Repeat("t", 200), strings.Repeat("k", 300), strings.Repeat("u,", 200), int64(1)<<62, []byte("\x01\x00"))
	f.Add("", "", "", int64(0), []byte("\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, topic, key, users string, at int64, frame []byte) {
		want := persist.Record{ID: 7, Topic: topic, Key: key, Time: at, Frame: append([]byte{}, frame...)}
		if users != "" {
			want.Users = strings.Split(users, ",")
		}
		v := pebblelog.EncodeValue(&want)
		got, err := pebblelog.DecodeValue(7, bytes.Clone(v))
		require.NoError(t, err)
		require.Equal(t, want, got)

		_, _ = pebblelog.DecodeValue(7, frame)
		for i := range v {
			_, _ = pebblelog.DecodeValue(7, v[:i])
		}
	})
}
