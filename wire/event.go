package wire

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// DefaultEventType is the type of an event that names none.
const DefaultEventType = "message"

// Event is one event, as it is pushed and as it is received.
//
// An Event is plain data without a lock: whoever holds it may change it, but not
// while another goroutine uses it.
type Event struct {
	// ID is a decimal number that the hub assigns; on push it is ignored. On
	// received events it is the last ID the stream has told, which may be that
	// of an earlier event.
	ID string `json:"id,omitempty"`

	// Event is the type. The encoder leaves the line out when it is empty, and
	// receivers then take it as [DefaultEventType]. At most [MaxNameLen] bytes.
	// Publishers can't use the types that are a hub's own, see [Reserved].
	Event string `json:"event,omitempty"`

	// Data is the payload. string, []byte and [json.RawMessage] are written as
	// they are, anything else as JSON without HTML escaping. nil is refused;
	// empty data is legal. Line ends, whichever of the three they are, arrive as
	// LF. On received events it is a string.
	Data any `json:"data"`

	// Topic restricts the event to subscribers of that topic; empty means no
	// such restriction. At most [MaxNameLen] bytes; no token between dots may be
	// "*" or ">" (see [Pattern]).
	Topic string `json:"topic,omitempty"`

	// Users is the audience as recorded: nil is everyone. An empty list that is
	// not nil is refused, since it must never become a broadcast.
	Users []string `json:"users,omitempty"`

	// Key is the conflation key: of several events with one key, a subscriber
	// that asks for it and is behind gets the newest. At most [MaxNameLen] bytes.
	Key string `json:"key,omitempty"`

	// Ephemeral events have no ID and are not logged.
	Ephemeral bool `json:"ephemeral,omitempty"`

	// Retry is the reconnection time told to the receiver, in whole
	// milliseconds (a fraction is rounded up); 0 leaves the field out.
	Retry time.Duration `json:"-"`
}

// FieldError says which field of an event can't be sent, and why.
type FieldError struct {
	Field  string // "id", "event", "data", "topic", "key", "users" or "retry"
	Reason string // what is wrong with it, such as "contains a line feed"
	Err    error  // the cause, where there is one: the error of encoding/json
}

// Error names the field and the reason.
func (e *FieldError) Error() string {
	return fmt.Sprintf("wire: event field %q %s", e.Field, e.Reason)
}

// Unwrap returns the cause, or nil.
func (e *FieldError) Unwrap() error { return e.Err }

// Validate reports the first field that can't be sent, as a [*FieldError], or
// nil. Data that is written as JSON is encoded only by [AppendEvent] and
// [AppendBody], which therefore may still refuse an event that is valid here.
func (e *Event) Validate() error {
	if err := e.validateFields(); err != nil {
		return err
	}
	switch data := e.Data.(type) {
	case nil:
		return errNilData()
	case string:
		if !utf8.ValidString(data) {
			return errDataUTF8()
		}
	case []byte:
		if !utf8.Valid(data) {
			return errDataUTF8()
		}
	case json.RawMessage:
		if !utf8.Valid(data) {
			return errDataUTF8()
		}
	}
	return nil
}

// validateFields checks everything but the data.
func (e *Event) validateFields() error {
	if e == nil {
		return &FieldError{Field: "event", Reason: "is missing: the event is nil"}
	}
	if err := checkText("id", e.ID); err != nil {
		return err
	}
	if err := checkName("event", e.Event); err != nil {
		return err
	}
	if err := checkTopic(e.Topic); err != nil {
		return err
	}
	if err := checkName("key", e.Key); err != nil {
		return err
	}
	if e.Retry < 0 {
		return &FieldError{Field: "retry", Reason: "is negative"}
	}
	return e.validateUsers()
}

func (e *Event) validateUsers() error {
	if e.Users != nil && len(e.Users) == 0 {
		return &FieldError{Field: "users", Reason: "is an empty list (leave it out for everyone)"}
	}
	for _, u := range e.Users {
		switch {
		case u == "":
			return &FieldError{Field: "users", Reason: "contains an empty name"}
		case len(u) > MaxNameLen:
			return tooLong("users")
		}
		for i := range len(u) {
			if u[i] == 0 {
				return &FieldError{Field: "users", Reason: "contains a NUL byte"}
			}
		}
		if !utf8.ValidString(u) {
			return &FieldError{Field: "users", Reason: "is not valid UTF-8"}
		}
	}
	return nil
}

// checkName is checkText for names of bounded length.
func checkName(field, s string) error {
	if len(s) > MaxNameLen {
		return tooLong(field)
	}
	return checkText(field, s)
}

// checkText refuses what can't stand in one line of the stream: CR and LF end
// it, and receivers ignore an ID that contains NUL.
func checkText(field, s string) error {
	var all byte
	for i := range len(s) {
		c := s[i]
		if c == '\n' || c == '\r' || c == 0 {
			return &FieldError{Field: field, Reason: "contains a " + controlName(c)}
		}
		all |= c
	}
	if all >= utf8.RuneSelf && !utf8.ValidString(s) {
		return &FieldError{Field: field, Reason: "is not valid UTF-8"}
	}
	return nil
}

func controlName(c byte) string {
	switch c {
	case '\n':
		return "line feed"
	case '\r':
		return "carriage return"
	default:
		return "NUL byte"
	}
}

func tooLong(field string) error {
	return &FieldError{Field: field, Reason: fmt.Sprintf("is longer than %d bytes", MaxNameLen)}
}

func errNilData() error { return &FieldError{Field: "data", Reason: "is missing"} }

func errDataUTF8() error { return &FieldError{Field: "data", Reason: "is not valid UTF-8"} }
