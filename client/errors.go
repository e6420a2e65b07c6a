package client

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spatehub/spate/wire"
)

var (
	// ErrConnected is returned when a client is started a second time.
	ErrConnected = errors.New("client: already connected")

	// ErrDisconnected is returned when a client that has ended is started, or
	// ends while it connects for the first time.
	ErrDisconnected = errors.New("client: disconnected")

	// ErrContentType is returned when the response is no event stream. Is the
	// URL right, and does nothing in between answer with a page of its own?
	ErrContentType = errors.New("the response is not text/event-stream")

	// ErrIdle is why a connection ended that was silent for longer than
	// [WithIdleTimeout] allows.
	ErrIdle = errors.New("nothing received for longer than the idle timeout")

	// errStreamEnd is why a connection ended that the server closed.
	errStreamEnd = errors.New("the server ended the stream")
)

// StatusError is the error of a response with another status than 200.
type StatusError struct {
	Code int // such as 401
	// RetryAfter is the time for which the server has asked to be left alone, 0
	// if it has not. Only a 429 or 503 is asked for it.
	RetryAfter time.Duration
}

// Error names the status.
func (e *StatusError) Error() string {
	return fmt.Sprintf("the server answered %d %s", e.Code, http.StatusText(e.Code))
}

// Temporary reports whether the client tries again after this status: 408, 425,
// 429 and everything from 500. The rest would only be answered the same way.
func (e *StatusError) Temporary() bool {
	switch e.Code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Code >= 500
}

// EndError is why a connection ended that the hub closed with a disconnect
// event. The client connects again and resumes.
type EndError struct {
	// Reason is the hub's word: "overflow" where the events came faster than this
	// client read them, "history" where the log could not be read for it, "closed"
	// where the hub closes.
	Reason string
}

// Error tells the reason.
func (e *EndError) Error() string { return "the server ended the stream: " + e.Reason }

// permanent reports whether connecting again would lead to err again.
func permanent(err error) bool {
	var status *StatusError
	if errors.As(err, &status) {
		return !status.Temporary()
	}
	// A stream that is resumed begins with the event that was too large.
	return errors.Is(err, ErrContentType) || errors.Is(err, wire.ErrEventTooLarge)
}

// askedToStop reports whether err is the server's wish that clients go away.
func askedToStop(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Code == http.StatusNoContent
}
