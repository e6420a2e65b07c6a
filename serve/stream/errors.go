package stream

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// Error is an answer that is not a stream. An identify function returns one to
// choose status and text; any other error of it is answered by a bare 403,
// since its text may be meant for the log only.
//
// The body is a problem of RFC 9457, application/problem+json, as [WriteError]
// writes it. Status 204 has no body: it tells browsers to stop reconnecting.
// 401 says that a bearer token is wanted, unless WWW-Authenticate is already set.
type Error struct {
	Status  int    // 204 or 400 to 599; anything else counts as 403
	Message string // what is wrong, for the client
	Field   string // which part of the request, such as "topic" or "events[1].data"

	// RetryAfter says when to try again, in whole seconds, rounded up; 0 says
	// nothing, but for a 503, which says two seconds then.
	RetryAfter time.Duration

	hangUp bool // the connection is not kept for another request: there are too many
}

// Error returns the message, after the field where there is one.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// retrySoon is told with every 503 that says nothing else: a hub that closes is
// mostly one that restarts.
const retrySoon = 2 * time.Second

// retryAfter is the Retry-After of the answer, in seconds; 0 is none.
func (e *Error) retryAfter() int64 {
	d := e.RetryAfter
	if d <= 0 && e.Status == http.StatusServiceUnavailable {
		d = retrySoon
	}
	return int64((max(d, 0) + time.Second - 1) / time.Second)
}

// AuthorizerError is the answer to an error of an [Authorizer].
func AuthorizerError(err error) *Error { return identityError(err) }

// badRequest is the answer to a wrong part of a request.
func badRequest(field, message string) *Error {
	return &Error{Status: http.StatusBadRequest, Message: message, Field: field}
}

// tooMany is the answer to a list that is longer, or data that is larger, than is
// taken at once.
func tooMany(field, message string) *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Message: message, Field: field}
}

// unavailable is the answer while the hub can't do what was asked.
func unavailable(message string) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Message: message}
}

// scarce is unavailable where the connection itself is what there is too much of.
func scarce(message string) *Error {
	e := unavailable(message)
	e.hangUp = true
	return e
}

// identityError is the answer to an identify function's error.
func identityError(err error) *Error {
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Status: http.StatusForbidden, Message: "not allowed"}
	}
	if e.Status != http.StatusNoContent && (e.Status < 400 || e.Status > 599) {
		return &Error{Status: http.StatusForbidden, Message: e.Message, Field: e.Field}
	}
	return e
}

// unreadyMessage is told where a hub can't be sure of the others that it follows.
const unreadyMessage = "this hub is behind its cluster, or hears nothing of it; another one, or a later try, may do"

// publishError is the answer to an error of Hub.Publish.
func publishError(err error) *Error {
	var field *wire.FieldError
	var event *engine.EventError
	at := "events[0]" // of several, the error tells which
	if errors.As(err, &event) {
		at = "events[" + strconv.Itoa(event.Index) + "]"
	}
	switch {
	case errors.As(err, &field):
		switch {
		case field.Field == "users":
			return badRequest("uids", field.Reason)
		case errors.Is(err, engine.ErrTooLarge):
			return tooMany(at+"."+field.Field, field.Reason)
		}
		return badRequest(at+"."+field.Field, field.Reason)
	case errors.Is(err, engine.ErrNoUsers):
		return badRequest("uids", "is an empty list: leave it out for everyone")
	case errors.Is(err, engine.ErrNoEvents):
		return badRequest("events", "is empty")
	case errors.Is(err, engine.ErrTooMany):
		return tooMany("events", "has more events, or events × users, than the hub takes at once")
	case errors.Is(err, engine.ErrClosed):
		return unavailable("the hub is closed")
	case errors.Is(err, engine.ErrUnready):
		return unavailable(unreadyMessage)
	case errors.Is(err, engine.ErrNoNotes):
		return &Error{Status: http.StatusNotImplemented, Field: onceHeader, Message: "is not taken by a hub that follows others"}
	case errors.Is(err, engine.ErrLog):
		return unavailable("the log did not take the events")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailable("the hub is too busy; the events may or may not be published")
	}
	return &Error{Status: http.StatusInternalServerError, Message: "the events were not published"}
}

// writeError answers with e. The response must not have begun.
func writeError(w http.ResponseWriter, e *Error) {
	h := w.Header()
	h.Del("Content-Length")
	if e.Status == http.StatusNoContent {
		w.WriteHeader(e.Status)
		return
	}
	e.setHeader(h)
	writeBody(w, e.Status, "application/problem+json", problem{
		Title: http.StatusText(e.Status), Status: e.Status, Detail: e.Message, Field: e.Field,
	})
}

// setHeader sets what the answer says beside its body.
func (e *Error) setHeader(h http.Header) {
	if e.hangUp {
		h.Set("Connection", "close")
	}
	if after := e.retryAfter(); after > 0 {
		h.Set("Retry-After", strconv.FormatInt(after, 10))
	}
	if e.Status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", "Bearer")
	}
}

// problem is an error's body. Its type is about:blank, which is left out: the title
// is the status's.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Field  string `json:"field,omitempty"` // ours: the part of the request that is wrong
}

// WriteError answers with e in the form that all routes of this package have, for
// routes beside them: {"title":"Bad Request","status":400,"detail":Message,
// "field":Field}, the last where there is one. A 503 tells when to come back. The
// response must not have begun.
func WriteError(w http.ResponseWriter, e *Error) { writeError(w, identityError(e)) }

// writeJSON answers with body, which can be marshalled.
func writeJSON(w http.ResponseWriter, status int, body any) {
	writeBody(w, status, "application/json; charset=utf-8", body)
}

func writeBody(w http.ResponseWriter, status int, contentType string, body any) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the peer is gone: nobody to tell
}

// refuseMethod answers 405 unless the request's method is one of allowed. OPTIONS is
// answered by which they are.
func refuseMethod(w http.ResponseWriter, r *http.Request, allow string, allowed ...string) bool {
	for _, m := range allowed {
		if r.Method == m {
			return false
		}
	}
	w.Header().Set("Allow", allow+", OPTIONS")
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	writeError(w, &Error{Status: http.StatusMethodNotAllowed, Message: "method " + strconv.Quote(r.Method) + " is not allowed here"})
	return true
}
