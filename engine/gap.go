package engine

import "github.com/spatehub/spate/wire"

// GapEvent is the type of the event that tells a client of lost history. Its
// data is a Gap as JSON; it has no ID.
const GapEvent = wire.GapType

// Gap is the data of a gap event: events after From up to and including To
// that were meant for the client may be missing. From is the client's own last
// ID as it sent it, its first 64 bytes and "..." where it is longer.
type Gap struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// maxGapName bounds how much of a client's garbage is sent back to it.
const maxGapName = 64

// gapWord is a gap event and what it tells. Those who come back together, after
// a restart, mostly are told the same.
type gapWord struct {
	gap  Gap
	word word
}

// of makes w the gap event of g, unless it is.
func (w *gapWord) of(g Gap) *word {
	if w.gap != g || w.word.silent() {
		*w = gapWord{gap: g, word: newWord(appendGap(nil, g))}
	}
	return &w.word
}

func appendGap(dst []byte, g Gap) []byte {
	e := wire.Event{Event: GapEvent, Data: g}
	frame, err := wire.AppendEvent(dst, &e)
	if err != nil {
		// Only a name that is no text can fail, and JSON has replaced it.
		panic("engine: gap event: " + err.Error())
	}
	return frame
}
