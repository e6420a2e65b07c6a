package engine

import (
	"errors"
	"fmt"
)

// Errors of Push and its kin, and of Subscribe. Test with errors.Is.
var (
	// ErrClosed is returned once Close or Shutdown has begun.
	ErrClosed = errors.New("spate: hub is closed")

	// ErrDraining is returned by Seat once Drain has begun. It is an ErrClosed.
	ErrDraining = fmt.Errorf("%w for new connections: it drains", ErrClosed)

	// ErrBusy is returned by Seat while so many users come and go that their joins
	// and leaves wait to be pushed.
	ErrBusy = errors.New("spate: hub is too busy for new connections")

	// ErrNoUsers is returned for an empty, non-nil list of users: it reaches
	// nobody, and taking it for "everyone" would leak a private event.
	ErrNoUsers = errors.New("spate: list of users is empty (nil means everyone)")

	// ErrNoEvents is returned for a push of no event, or of a nil one.
	ErrNoEvents = errors.New("spate: no event to push")

	// ErrTooLarge is returned for an event whose data is beyond WithMaxEventSize. A
	// *wire.FieldError in it says by how much.
	ErrTooLarge = errors.New("spate: event is too large")

	// ErrTooMany is returned for more events in one push than a quarter of the
	// ring holds, or for more than 100,000 users, summed over the push's events.
	ErrTooMany = errors.New("spate: too many events in one push")

	// ErrUnready wraps why a hub that follows others can't be used at present: it is
	// behind them, or hears nothing. Nothing was published.
	ErrUnready = errors.New("spate: hub is not ready")

	// ErrLog wraps the log's error where it could not take an event. Nobody
	// receives any event of that push, but for what a plain Store, which can't
	// take a push as a whole, has kept of it.
	ErrLog = errors.New("spate: the log did not take the event")
)

// Reasons for which a connection ends, as handed to Sink.Close. The client is
// told of ErrOverflow, ErrHistory, ErrClosed, ErrExpired, ErrRevoked and ErrReconnect by a
// disconnect event.
var (
	// ErrSink means that the connection's Sink says it took a number of bytes that
	// cannot be: a mistake of whoever wrote it.
	ErrSink = errors.New("spate: sink took an impossible number of bytes")

	// ErrHangup means that the peer closed the connection.
	ErrHangup = errors.New("spate: peer hung up")

	// ErrExpired: the time that the connection was given is over.
	ErrExpired = errors.New("spate: connection's time is over")

	// ErrReconnect asks the client to come back, here or elsewhere: for its age, or
	// because somebody said so.
	ErrReconnect = errors.New("spate: connection is to come back")

	// ErrRevoked: what the connection was allowed has been taken back.
	ErrRevoked = errors.New("spate: connection's rights were revoked")

	// ErrOverflow means that the queue overflowed under PolicyDisconnect.
	ErrOverflow = errors.New("spate: connection fell too far behind")

	// ErrStalled means that the peer accepted no byte for the stall time-out, or that it
	// stopped within more than 4 KiB while all connections together keep as much of what
	// was sent in part as they may: 64 MiB.
	ErrStalled = errors.New("spate: connection stalled")

	// ErrHistory means that the log could not be read for a connection that
	// is behind; the client resumes when it reconnects.
	ErrHistory = errors.New("spate: history could not be read")
)

// errCrowded ends a connection that would keep more than there is room for.
var errCrowded = fmt.Errorf("%w: what others keep leaves no room for the rest of what was sent in part", ErrStalled)

// EventError says which event of a push that has several was refused, and why.
type EventError struct {
	Index int
	Err   error
}

// Error gives the place and the reason.
func (e *EventError) Error() string { return fmt.Sprintf("events[%d]: %v", e.Index, e.Err) }

// Unwrap returns the reason.
func (e *EventError) Unwrap() error { return e.Err }

// eventError is the error of event i of n.
func eventError(err error, i, n int) error {
	if n == 1 {
		return err
	}
	return &EventError{Index: i, Err: err}
}
