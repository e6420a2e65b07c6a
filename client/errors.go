package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/spatehub/spate/client/internal/message"
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

	// ErrContentEncoding is returned when the response is compressed in a way
	// that was not asked for.
	ErrContentEncoding = errors.New("the response is compressed in an unknown way")

	// ErrIdle is why a connection ended that was silent for longer than
	// [WithIdleTimeout] allows.
	ErrIdle = errors.New("nothing received for longer than the idle timeout")

	// ErrStreamEnd is why a connection ended that the server closed in order,
	// between two events.
	ErrStreamEnd = errors.New("the server ended the stream")

	// ErrCut is why a connection ended in the middle of an event, or a finite
	// stream before its end: some of it is missing.
	ErrCut = errors.New("the stream was cut before its end")

	// ErrRestart is what OnReconnect gets after [SSEClient.Restart].
	ErrRestart = errors.New("client: restart")
)

// EndError is why a connection ended that the hub closed with a disconnect
// event. The client connects again and resumes.
type EndError struct {
	// Reason is the hub's word: "overflow" where the events came faster than this
	// client read them, "history" where the log could not be read for it, "closed"
	// where the hub closes, "expired" where the time that the request was given is over.
	Reason string
}

// Error tells the reason.
func (e *EndError) Error() string { return "the server ended the stream: " + e.Reason }

// GiveUpError is why a client ended that has tried for as often, or as long, as
// [WithMaxTries] and [WithMaxDowntime] allow.
type GiveUpError struct {
	Tries int           // since the last healthy connection
	Down  time.Duration // since then
	Err   error         // why the last connection or attempt failed
}

// Error tells how much was tried, and why it failed at last.
func (e *GiveUpError) Error() string {
	return fmt.Sprintf("gave up after %d tries in %v: %v", e.Tries, e.Down.Round(time.Millisecond), e.Err)
}

// Unwrap returns the last attempt's error.
func (e *GiveUpError) Unwrap() error { return e.Err }

// EventError is the error of [Do] when the server sends an event of the type
// "error".
type EventError struct {
	Event *wire.Event // as it came
}

// Error tells the server's message, from data that is JSON of the usual forms or
// text.
func (e *EventError) Error() string {
	text, _ := e.Event.Data.(string)
	return "the server sent an error: " + message.OfData(text)
}

// CheckpointError is told where the last event ID could not be stored or read.
type CheckpointError struct {
	Err error // of the [Checkpoint]
}

// Error names the cause.
func (e *CheckpointError) Error() string { return "checkpoint: " + e.Err.Error() }

// Unwrap returns the Checkpoint's error.
func (e *CheckpointError) Unwrap() error { return e.Err }

// permanent reports whether connecting again would lead to err again.
func permanent(err error) bool {
	var status *StatusError
	if errors.As(err, &status) {
		return !status.Temporary()
	}
	// A stream that is resumed begins with the event that was too large.
	return errors.Is(err, ErrContentType) || errors.Is(err, ErrContentEncoding) || errors.Is(err, wire.ErrEventTooLarge)
}
