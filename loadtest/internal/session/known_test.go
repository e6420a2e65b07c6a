package session_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/session"
	"github.com/spatehub/spate/loadtest/stamp"
)

// What is remembered of events changes no answer: whatever order they come in, and
// whichever bit of a known one is flipped.
func TestKnownEventsAreParsedAlike(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var events [][]byte
	for i := range 40 {
		e := stamp.Append(nil, stamp.Stamp{
			Run: 7, Kind: []stamp.Kind{stamp.Broadcast, stamp.Topic, stamp.User}[i%3], Index: uint32(i % 3 % 2), Seq: uint64(i/3 + 1), Sent: 1e18,
			Size: uint32([]int{90, 200, 5000}[r.IntN(3)]),
		})
		if s, _ := stamp.Parse(e); s.Kind == stamp.Broadcast && s.Index != 0 {
			continue
		}
		events = append(events, e)
	}
	events = append(events, nil, []byte{}, []byte("no stamp"))
	parse := session.ParseKnown()
	at := 0
	for range 20_000 {
		if r.IntN(3) == 0 {
			at = r.IntN(len(events))
		}
		data := append([]byte(nil), events[at]...)
		if len(data) > 0 && r.IntN(4) == 0 {
			data[r.IntN(len(data))] ^= 1 << r.IntN(8)
		}
		want, verdict := stamp.Parse(data)
		got, gotVerdict := parse(data)
		require.Equal(t, verdict, gotVerdict, "%q", data)
		require.Equal(t, want, got)
	}
}

// An event that is known costs no memory.
func TestKnownEventsAllocateNothing(t *testing.T) {
	parse := session.ParseKnown()
	var events [][]byte
	for i := range 3 {
		events = append(events, stamp.Append(nil, stamp.Stamp{Run: 7, Kind: stamp.Broadcast, Seq: uint64(i + 1), Sent: 1e18, Size: 200}))
		parse(events[i])
	}
	i := 0
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, v := parse(events[i%3])
		i++
		if v != stamp.Intact {
			panic(v)
		}
	}))
}
