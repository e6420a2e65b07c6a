package main

import (
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
)

// sinceValue is a moment: a time in RFC 3339's form, or an age. An age counts from the start of the command, also where
// it connects again later.
type sinceValue struct{ at time.Time }

// String returns the moment, "" for none.
func (v *sinceValue) String() string {
	if v.at.IsZero() {
		return ""
	}
	return v.at.Format(time.RFC3339Nano)
}

// Set parses text.
func (v *sinceValue) Set(text string) error {
	at, ok := stream.ParseSince(text, time.Now().UTC())
	if !ok {
		return usagef("give a time such as 2026-11-27T10:00:00Z, or an age such as 15m or 7d")
	}
	v.at = at
	return nil
}

// setStart resolves where the stream begins; of the flags for it one can be given.
func (c *tailConfig) setStart(beginning bool) error {
	given := 0
	for _, is := range []bool{c.lastID != "", beginning, !c.since.at.IsZero()} {
		if is {
			given++
		}
	}
	if given > 1 {
		return usagef("--last-event-id, --from-beginning and --since contradict each other: give one of them")
	}
	if beginning {
		c.lastID = engine.Earliest
	}
	return nil
}
