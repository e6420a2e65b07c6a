package client

import (
	"encoding/json"

	"github.com/spatehub/spate/wire"
)

// Types of event, for [SSEClient.OnEvent].
const (
	// EveryType stands for the events of every type. It is no type that an event
	// can have.
	EveryType = "\n"
	// GapEvent is a hub's word that events are missing; see [Gap].
	GapEvent = wire.GapType
	// DisconnectEvent is a hub's word that it ends the connection; see [EndError].
	DisconnectEvent = wire.DisconnectType
)

// Gap says that events are missing: some in (From, To] that were meant for this
// client may be, those after To follow in full. Both are IDs of the hub.
type Gap struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// ParseGap reads a hub's gap event, as an iterator hands it out; false for an
// event that is none.
func ParseGap(e *wire.Event) (Gap, bool) {
	text, _ := e.Data.(string)
	if e.Event != GapEvent {
		return Gap{}, false
	}
	return gapOf([]byte(text))
}

func gapOf(data []byte) (g Gap, ok bool) {
	err := json.Unmarshal(data, &g)
	return g, err == nil && g.To != ""
}

// endReason is the reason that a hub gives for ending the connection where raw is
// its word for that; else "".
func endReason(raw *wire.RawEvent) string {
	if string(raw.Event) != DisconnectEvent {
		return ""
	}
	var told struct{ Reason string }
	if json.Unmarshal(raw.Data, &told) != nil {
		return ""
	}
	return told.Reason
}
