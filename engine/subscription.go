package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/spatehub/spate/wire"
)

// MaxPatterns is how many patterns with wildcards one connection may follow: each
// is looked at for each event that is resent.
const MaxPatterns = 64

// Earliest as Subscription.LastEventID begins with all that is kept.
const Earliest = "earliest"

// Subscription says what a connection receives, and how.
type Subscription struct {
	// UID names the user; "" is an anonymous connection, which gets no event
	// that is pushed to users. Several connections may share a UID.
	UID string

	// Topics are the topics followed, and patterns of topics (see wire.Pattern), of
	// which MaxPatterns may have wildcards. An event without a topic reaches every
	// connection, an event with one only those that follow it. Duplicates are
	// ignored.
	Topics []string

	// OnlyTopics leaves out the events that are for everybody: no user named, no
	// topic. Those for the user still come. It needs topics or a UID.
	OnlyTopics bool

	// LastEventID is the ID after which to resume, as the client sent it.
	// Earliest or "0" begins with all that is kept, "" with what is pushed from
	// now on. Where history does not reach back, or the ID was never issued here,
	// a gap event comes first.
	LastEventID string

	// Since begins with the first event that the log took at that time or later.
	// It needs a log that is persist.Dated, and contradicts a LastEventID. Where the
	// clock jumped, some older events may come too. A time up to five minutes ahead is
	// taken for now, as clocks differ, and a later one refused.
	Since time.Time

	// Source says where the connection comes from, such as its peer's address.
	// Connections of one source share its turns at the log when they read history,
	// as do those of one user within it: however many they are, others are served
	// beside them. "" is the user, or the connection itself where it has none.
	Source string

	// Form says how the bytes are framed.
	Form Form

	// Encoding is the name of the encoding that the bytes have, one of the hub's; ""
	// is none. The stream's start comes before what the Sink gets: see Encoding.
	Encoding string

	// Policy says what happens when the connection falls behind by more than
	// its queue. 0 takes the hub's, as does one that does not exist.
	Policy Policy

	// Conflate asks for only the newest event per key while the connection is
	// behind (last value wins). Events without a key are all kept. Ephemeral
	// events replace ephemeral ones only.
	Conflate bool

	// Patient says that events may come a little later than they could, together with
	// others: see WithPatience.
	Patient bool

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

// looksBack says whether it asks for what was pushed before.
func (sub *Subscription) looksBack() bool { return sub.LastEventID != "" || !sub.Since.IsZero() }

// validate checks the subscription's names by the rules for events, and returns what
// its topics say, in a text of its own. The error is a *wire.FieldError for "uid",
// "topics[i]" or "form".
func (sub *Subscription) validate() ([]wire.Pattern, error) {
	if sub.Form >= framings {
		return nil, &wire.FieldError{Field: "form", Reason: "is none that there is"}
	}
	if sub.OnlyTopics && len(sub.Topics) == 0 && sub.UID == "" {
		return nil, &wire.FieldError{Field: "topics", Reason: "are none, and nothing else is wanted"}
	}
	probe := wire.Event{Data: ""}
	if sub.UID != "" {
		probe.Users = []string{sub.UID}
	}
	if err := probe.Validate(); err != nil {
		return nil, renamed(err, "uid")
	}
	if len(sub.Topics) == 0 {
		return nil, nil
	}
	text, wild := oneText(sub.Topics), 0
	patterns := make([]wire.Pattern, len(sub.Topics))
	for i, t := range sub.Topics {
		p, err := wire.ParsePattern(text[:len(t)])
		if err != nil {
			return nil, renamed(err, fmt.Sprintf("topics[%d]", i))
		}
		text = text[len(t):]
		if patterns[i] = p; p.Wild() {
			wild++
		}
	}
	if wild > MaxPatterns {
		return nil, &wire.FieldError{Field: "topics", Reason: fmt.Sprintf("have %d patterns with wildcards, more than the %d that a connection may follow", wild, MaxPatterns)}
	}
	return patterns, nil
}

// renamed is a *wire.FieldError as one of another field.
func renamed(err error, field string) error {
	if fe := (*wire.FieldError)(nil); errors.As(err, &fe) {
		return &wire.FieldError{Field: field, Reason: fe.Reason}
	}
	return err
}
