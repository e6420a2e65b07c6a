package stream

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// What a client may ask for in the query of its stream.
const (
	resumeQuery   = "last_event_id" // stands in for Last-Event-ID where a client can't set a header
	gapQuery      = "on_gap"        // "refuse": answer 409 rather than begin with a gap event
	conflateQuery = "conflate"      // "true": while behind, only the newest event per key
)

// wishes are what a client asks for beside users and topics.
type wishes struct {
	lastEventID string
	refuseGap   bool
	conflate    bool
}

// wishesOf reads them from the request. For the ID, the header wins: a browser
// that reconnects sends it with the query of the first connection.
func wishesOf(r *http.Request) (w wishes, err *Error) {
	// In its canonical form, which Get need not make (and allocate) first.
	w.lastEventID = r.Header.Get("Last-Event-Id")
	raw := r.URL.RawQuery
	if !strings.Contains(raw, resumeQuery) && !strings.Contains(raw, gapQuery) && !strings.Contains(raw, conflateQuery) {
		return w, nil // the common case, without parsing
	}
	query, _ := url.ParseQuery(raw) // what can be parsed counts
	if w.lastEventID == "" {
		w.lastEventID = query.Get(resumeQuery)
	}
	switch query.Get(gapQuery) {
	case "refuse":
		w.refuseGap = true
	case "", "tell":
	default:
		return w, badRequest(gapQuery, `must be "tell" or "refuse"`)
	}
	switch query.Get(conflateQuery) {
	case "true", "1":
		w.conflate = true
	case "", "false", "0":
	default:
		return w, badRequest(conflateQuery, `must be "true" or "false"`)
	}
	return w, nil
}

// subscription returns what a request asks for on behalf of uid. Its strings hold
// on to nothing of the request.
func (c *config) subscription(w wishes, uid string, topics []string) (engine.Subscription, *Error) {
	if n := len(c.topics) + len(topics); n > c.maxTopics {
		return engine.Subscription{}, badRequest("topics", fmt.Sprintf("are %d, more than the %d that a connection may follow", n, c.maxTopics))
	}
	all := make([]string, 0, len(c.topics)+len(topics))
	all = append(append(all, c.topics...), topics...)
	return engine.Subscription{
		UID:          strings.Clone(uid),
		Topics:       all,
		LastEventID:  w.lastEventID,
		Policy:       c.policy,
		Conflate:     c.conflate || w.conflate,
		StallTimeout: c.stall,
	}, nil
}

// fieldError is a *wire.FieldError as an answer about field.
func fieldError(field string, err error) *Error {
	var fe *wire.FieldError
	if errors.As(err, &fe) {
		return badRequest(field, fe.Reason)
	}
	return badRequest(field, err.Error())
}

// admit decides whether the stream may begin, and where: before the client can
// have seen anything, so that what is pushed from here on reaches it.
func (c *config) admit(r *http.Request, hub *engine.Hub, w wishes, sub engine.Subscription) (*engine.Seat, *Error) {
	if hub.Closed() {
		return nil, unavailable("the hub is closed")
	}
	if c.maxConns > 0 && hub.OnlineClientsNum() >= c.maxConns {
		return nil, unavailable("too many connections")
	}
	seat, err := hub.Seat(r.Context(), sub)
	var wrong *wire.FieldError
	switch {
	case errors.As(err, &wrong):
		return nil, badRequest(wrong.Field, wrong.Reason)
	case errors.Is(err, engine.ErrClosed):
		return nil, unavailable("the hub is closed")
	case err != nil:
		return nil, unavailable("history could not be read")
	}
	if _, lost := seat.Gap(); lost && (c.refuseGap || w.refuseGap) {
		return nil, &Error{Status: http.StatusConflict, Field: "last_event_id", Message: "history does not reach back to this ID"}
	}
	return seat, nil
}
