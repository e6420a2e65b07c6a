package api

import (
	"net/http"
	"net/url"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
)

// beginsAt has history begin at a time, as a stream would with the same query.
func beginsAt(sub *engine.Subscription, q url.Values, now time.Time) error {
	if !q.Has("since") {
		return nil
	}
	at, ok := stream.ParseSince(q.Get("since"), now)
	switch {
	case !ok:
		return &stream.Error{Status: http.StatusBadRequest, Field: "since", Message: `must be a time such as "2006-01-02T15:04:05Z", or an age such as "15m" or "7d"`}
	case sub.LastEventID != "":
		return &stream.Error{Status: http.StatusBadRequest, Field: "since", Message: "contradicts after: give one of them"}
	}
	sub.Since = at
	return nil
}
