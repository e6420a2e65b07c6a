package wire_test

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/wire"
)

var edgeIDs = []uint64{0, 1, 9, 10, 99, 100, 1718000000000001, math.MaxInt64, math.MaxUint64 - 1, math.MaxUint64}

func TestIDRoundTrip(t *testing.T) {
	for _, id := range edgeIDs {
		got, err := wire.ParseID(wire.FormatID(id))
		require.NoError(t, err)
		require.Equal(t, id, got)
	}
}

// An ID has one spelling only.
func TestParseIDRefuses(t *testing.T) {
	for _, s := range []string{
		"", " ", "+1", "-1", "00", "01", "1 ", " 1", "1.0", "0x1", "1e3", "１", "a", "\x00", "1\n",
		"18446744073709551616", "18446744073709551620", "99999999999999999999", "100000000000000000000",
		strings.Repeat("9", 1000),
	} {
		_, err := wire.ParseID(s)
		require.ErrorIs(t, err, wire.ErrID, "%q", s)
		require.Less(t, len(err.Error()), 300)
	}
}

func TestPutID(t *testing.T) {
	for _, id := range edgeIDs {
		b := append(make([]byte, wire.IDHeadroom), "data: x\n\n"...)
		off := wire.PutID(b, id)
		require.Equal(t, "id: "+strconv.FormatUint(id, 10)+"\ndata: x\n\n", string(b[off:]))
	}
	require.Panics(t, func() { wire.PutID(make([]byte, wire.IDHeadroom-1), 1) })
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"0", "1", "007", "18446744073709551615", "18446744073709551616", "-1", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := wire.ParseID(s)
		want, wantErr := strconv.ParseUint(s, 10, 64)
		ok := wantErr == nil && strconv.FormatUint(want, 10) == s
		require.Equal(t, ok, err == nil, "%q", s)
		if ok {
			require.Equal(t, want, id)
		}
	})
}
