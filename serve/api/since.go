package api

import (
	"net/http"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
)

// beginsAt has history begin at a time, as a stream would with the same text; "" says
// nothing.
func beginsAt(sub *engine.Subscription, text string, now time.Time) error {
	if text == "" {
		return nil
	}
	at, ok := stream.ParseSince(text, now)
	switch {
	case !ok:
		return &stream.Error{Status: http.StatusBadRequest, Field: "since", Message: `must be a time such as "2006-01-02T15:04:05Z", or an age such as "15m" or "7d"`}
	case sub.LastEventID != "":
		return &stream.Error{Status: http.StatusBadRequest, Field: "since", Message: "contradicts after: give one of them"}
	}
	sub.Since = at
	return nil
}
