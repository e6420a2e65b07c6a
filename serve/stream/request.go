package stream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// wishes are what a client asks for beside users and topics.
type wishes struct {
	lastEventID string
	since       time.Time
	refuseGap   bool
	conflate    bool
	mayWait     bool
}

// wishesOf reads them from the request, whose query is parsed unless it is nil. For
// where to begin, the header wins: a browser that reconnects sends it with the query of
// the first connection.
func wishesOf(r *http.Request, query url.Values) (w wishes, err *Error) {
	// In its canonical form, which Get need not make (and allocate) first.
	ids := r.Header["Last-Event-Id"]
	if len(ids) > 1 {
		return w, badRequest("Last-Event-ID", fmt.Sprintf("is sent %d times: send it once", len(ids)))
	}
	if len(ids) == 1 {
		if w.lastEventID = ids[0]; !utf8.ValidString(w.lastEventID) {
			return w, badRequest("Last-Event-ID", "is not valid UTF-8")
		}
	}
	if r.URL.RawQuery == "" {
		return w, nil
	}
	if query == nil {
		if query, err = parseQuery(r.URL.RawQuery); err != nil {
			return w, err
		}
	}
	if err = checkOurs(query); err != nil {
		return w, err
	}
	return w, w.begin(query, time.Now())
}

// maxStreamBody is what the body of a stream's request may have, which nobody reads.
const maxStreamBody = 64 << 10

// passBody reads a body, which a stream has no use for, before the head: net/http
// would, without a deadline as streams have none, and over HTTP/1 the head waits
// for it. A body that never comes would hold the handler for ever.
func passBody(w http.ResponseWriter, r *http.Request) *Error {
	if r.ProtoMajor != 1 || r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	limitBody(w, r, headTimeout) // which sendHead lifts
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxStreamBody)); err != nil {
		return readError(w, r, err)
	}
	return nil
}

// begin takes the wishes out of a query.
func (w *wishes) begin(query url.Values, now time.Time) *Error {
	id, since := query.Get(resumeQuery), query.Get(sinceQuery)
	var at time.Time
	if query.Has(sinceQuery) {
		var ok bool
		if at, ok = ParseSince(since, now); !ok {
			return badRequest(sinceQuery, `must be a time such as "2006-01-02T15:04:05Z", or an age such as "15m" or "7d"`)
		}
	}
	switch {
	case id != "" && since != "":
		return badRequest(sinceQuery, "contradicts "+resumeQuery+": give one of them")
	case w.lastEventID == "":
		w.lastEventID, w.since = id, at
	}
	switch query.Get(gapQuery) {
	case "refuse":
		w.refuseGap = true
	case "", "tell":
	default:
		return badRequest(gapQuery, `must be "tell" or "refuse"`)
	}
	var refusal *Error
	if w.conflate, refusal = switchOf(query, conflateQuery); refusal != nil {
		return refusal
	}
	w.mayWait, refusal = switchOf(query, mayWaitQuery)
	return refusal
}

// switchOf reads a parameter that is true or false.
func switchOf(query url.Values, name string) (on bool, _ *Error) {
	switch query.Get(name) {
	case "true", "1":
		return true, nil
	case "", "false", "0":
		return false, nil
	}
	return false, badRequest(name, `must be "true" or "false"`)
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
		UID:          uid,
		Topics:       all,
		LastEventID:  w.lastEventID,
		Since:        w.since,
		Policy:       c.policy,
		Conflate:     c.conflate || w.conflate,
		Patient:      w.mayWait,
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
	if !c.descriptorsLeft() {
		return nil, scarce("too many connections: the rest of the descriptors is kept for the log and for pushes")
	}
	seat, err := hub.Seat(r.Context(), sub)
	var wrong *wire.FieldError
	switch {
	case errors.As(err, &wrong):
		return nil, badRequest(wrong.Field, wrong.Reason)
	case errors.Is(err, engine.ErrDraining):
		return nil, unavailable("the hub drains: connect again, here or elsewhere")
	case errors.Is(err, engine.ErrBusy):
		return nil, unavailable("too many users come and go")
	case errors.Is(err, engine.ErrClosed):
		return nil, unavailable("the hub is closed")
	case errors.Is(err, engine.ErrUnready):
		return nil, unavailable(unreadyMessage)
	case err != nil:
		return nil, unavailable("history could not be read")
	}
	if _, lost := seat.Gap(); lost && (c.refuseGap || w.refuseGap) {
		if !w.since.IsZero() {
			return nil, &Error{Status: http.StatusConflict, Field: sinceQuery, Message: "history does not reach back so far"}
		}
		return nil, &Error{Status: http.StatusConflict, Field: resumeQuery, Message: "history does not reach back to this ID"}
	}
	return seat, nil
}
