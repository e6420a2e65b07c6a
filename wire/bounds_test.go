package wire_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// What an encoder takes within a bound, a parser with the same bound takes, and
// the frame is no longer than MaxFrameLen says, whatever the data consists of.
func TestBoundsOfBothEndsAgree(t *testing.T) {
	const most = 4096
	for name, unit := range map[string]string{"text": "x", "line feeds": "\n", "carriage returns": "\r", "CRLF": "\r\n", "lines": "ab\n"} {
		t.Run(name, func(t *testing.T) {
			data := strings.Repeat(unit, most/len(unit)+1)[:most]
			e := &wire.Event{Event: strings.Repeat("t", wire.MaxNameLen), Data: data, Retry: 1<<63 - 1}
			var id [wire.IDHeadroom]byte
			off := wire.PutID(id[:], 1<<64-1)
			frame, err := wire.AppendBodyMax(append([]byte(nil), id[off:]...), e, most)
			require.NoError(t, err)
			require.LessOrEqual(t, len(frame), wire.MaxFrameLen(most))
			got := decode(t, bytes.NewReader(frame), wire.WithMaxEventSize(most))
			require.Len(t, got.Events, 1)
			require.Equal(t, strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(data), got.Events[0].Data)

			e.Data = data + "x"
			short, err := wire.AppendBodyMax([]byte("kept"), e, most)
			require.ErrorIs(t, err, wire.ErrDataTooLarge)
			require.ErrorContains(t, err, `field "data" has 4097 bytes, more than the 4096 that are taken`)
			require.Equal(t, "kept", string(short))
		})
	}
	_, err := wire.AppendBodyMax(nil, &wire.Event{Data: map[string]string{"a": strings.Repeat("x", 30)}}, 36)
	require.ErrorContains(t, err, "has 38 bytes", "data written as JSON counts as it is written")
}

// No application event can pass for the hub's own word.
func TestReservedTypes(t *testing.T) {
	for _, name := range []string{wire.GapType, wire.DisconnectType} {
		require.True(t, wire.Reserved(name))
		var field *wire.FieldError
		require.ErrorAs(t, (&wire.Event{Event: name, Data: "x"}).ValidateType(), &field)
		require.Equal(t, "event", field.Field)
		require.Contains(t, field.Reason, name)
		require.NoError(t, (&wire.Event{Event: name, Data: "x"}).Validate(), "the hub's own are valid")
	}
	for _, name := range []string{"", "message", "Gap", "gaps", "disconnected"} {
		require.NoError(t, (&wire.Event{Event: name, Data: "x"}).ValidateType())
	}
}
