package serve

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// resumeQuery is the parameter that stands in for Last-Event-ID where a client
// can't set a header.
const resumeQuery = "last_event_id"

// subscription returns what r asks for on behalf of uid. Its strings hold on to
// nothing of the request.
func (c *config) subscription(r *http.Request, uid string, topics []string) (engine.Subscription, *Error) {
	all := make([]string, 0, len(c.topics)+len(topics))
	all = append(append(all, c.topics...), topics...)
	if err := checkNames(uid, all); err != nil {
		return engine.Subscription{}, err
	}
	return engine.Subscription{
		UID:          strings.Clone(uid),
		Topics:       all,
		LastEventID:  lastEventID(r),
		Policy:       c.policy,
		Conflate:     c.conflate,
		StallTimeout: c.stall,
	}, nil
}

// lastEventID returns the ID after which the client wants to resume, "" for
// none. The header wins: a browser that reconnects sends it with the query of
// the first connection.
func lastEventID(r *http.Request) string {
	// In its canonical form, which Get need not make (and allocate) first.
	if id := r.Header.Get("Last-Event-Id"); id != "" {
		return id
	}
	if !strings.Contains(r.URL.RawQuery, resumeQuery) {
		return "" // the common case, without parsing
	}
	query, _ := url.ParseQuery(r.URL.RawQuery) // what can be parsed counts
	return query.Get(resumeQuery)
}

// checkNames refuses a user or topic that no event could name.
func checkNames(uid string, topics []string) *Error {
	probe := wire.Event{Data: ""}
	if uid != "" {
		probe.Users = []string{uid}
	}
	if err := probe.Validate(); err != nil {
		return fieldError("uid", err)
	}
	probe.Users = nil
	for i, topic := range topics {
		at := fmt.Sprintf("topics[%d]", i)
		if topic == "" {
			return badRequest(at, "is empty")
		}
		probe.Topic = topic
		if err := probe.Validate(); err != nil {
			return fieldError(at, err)
		}
	}
	return nil
}

// fieldError is a *wire.FieldError as an answer about field.
func fieldError(field string, err error) *Error {
	var fe *wire.FieldError
	if errors.As(err, &fe) {
		return badRequest(field, fe.Reason)
	}
	return badRequest(field, err.Error())
}

// admit decides whether the stream may begin.
func (c *config) admit(r *http.Request, hub *engine.Hub, sub *engine.Subscription) *Error {
	if err := hub.Healthy(); errors.Is(err, engine.ErrClosed) {
		return unavailable("the hub is closed")
	}
	if c.maxConns > 0 && hub.OnlineClientsNum() >= c.maxConns {
		return unavailable("too many connections")
	}
	if !c.refuseGap || sub.LastEventID == "" {
		return nil
	}
	whole, err := hub.CanResume(r.Context(), sub.LastEventID, sub.Topics)
	if err != nil {
		return unavailable("history could not be read")
	}
	if !whole {
		return &Error{Status: http.StatusConflict, Field: "last_event_id", Message: "history does not reach back to this ID"}
	}
	return nil
}
