package engine

import "time"

// Subscription says what a connection receives, and how.
type Subscription struct {
	// UID names the user; "" is an anonymous connection, which gets no event
	// that is pushed to users. Several connections may share a UID.
	UID string

	// Topics are the topics followed. An event without a topic reaches every
	// connection, an event with one only those that follow it. Duplicates are
	// ignored.
	Topics []string

	// LastEventID is the ID after which to resume, as the client sent it.
	// "" starts live, at From.
	LastEventID string

	// From is the position from which a live start counts, taken from
	// Hub.Position before the response head went out, so that nothing pushed
	// after the client saw the head is missed. 0 means now.
	From uint64

	// Form says how the bytes are framed.
	Form Form

	// Policy says what happens when the connection falls behind by more than
	// its queue. 0 takes the hub's.
	Policy Policy

	// Conflate asks for only the newest event per key while the connection is
	// behind (last value wins). Events without a key are all kept. Ephemeral
	// events replace ephemeral ones only.
	Conflate bool

	// StallTimeout closes the connection when it has accepted no byte for so
	// long although some were waiting. 0 takes the hub's, negative never.
	StallTimeout time.Duration
}

// Policy says what happens to a connection whose queue overflows.
type Policy uint8

const (
	// PolicyDefault is PolicyCatchUp where the hub has a log, else PolicyRetry.
	PolicyDefault Policy = iota

	// PolicyCatchUp lets the connection read on from the log at its own last
	// ID when it takes bytes again. Without a log it acts as PolicyRetry.
	PolicyCatchUp

	// PolicyRetry holds a delivery that finds the queue full until the push
	// time-out, then counts it as timed out.
	PolicyRetry

	// PolicyDropOldest gives up the oldest half of the queue at once.
	PolicyDropOldest

	// PolicyDisconnect gives up the queue and closes the connection with
	// ErrOverflow, after a disconnect event.
	PolicyDisconnect
)

// String returns the policy's name as options and metrics write it.
func (p Policy) String() string {
	switch p {
	case PolicyDefault:
		return "default"
	case PolicyCatchUp:
		return "catch-up"
	case PolicyRetry:
		return "retry"
	case PolicyDropOldest:
		return "drop-oldest"
	case PolicyDisconnect:
		return "disconnect"
	}
	return "unknown"
}
