package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// Bounds of the rights that a token or file gives.
const (
	maxRightsPatterns = 256
	maxRightsUsers    = 1024
)

// ParseRights reads what a caller may do, as a token's claim and the files of this
// package say it, into the grant:
//
//	{
//	  "read": ["orders.>", "prices"],
//	  "push": {"topics": ["orders.*"], "users": ["ann"], "any_user": false, "everyone": false},
//	  "admin": false,
//	  "limits": {"connections": 5, "topics": 50, "push_events": 10, "push_bytes": 65536}
//	}
//
// All of it may be left out: the rights are then none, and the limits the
// server's. A name that is not known, or in other letters, is an error: no right
// or limit is lost by a misspelling. See [stream.PushRights] and [stream.Limits].
func ParseRights(text []byte, g *stream.Grant) error {
	return object("", text, func(name, at string, v json.RawMessage) (err error) {
		switch name {
		case "read":
			g.Read, err = patterns(at, v)
			return err
		case "push":
			return parsePush(at, v, &g.Push)
		case "admin":
			return decode(at, v, &g.Admin, "true or false")
		case "limits":
			return parseLimits(at, v, &g.Limits)
		}
		return errUnknown
	})
}

func parsePush(at string, v json.RawMessage, p *stream.PushRights) error {
	return object(at, v, func(name, at string, v json.RawMessage) (err error) {
		switch name {
		case "topics":
			p.Topics, err = patterns(at, v)
			return err
		case "users":
			return parseUsers(at, v, &p.Users)
		case "any_user":
			return decode(at, v, &p.AnyUser, "true or false")
		case "everyone":
			return decode(at, v, &p.Everyone, "true or false")
		}
		return errUnknown
	})
}

func parseLimits(at string, v json.RawMessage, l *stream.Limits) error {
	return object(at, v, func(name, at string, v json.RawMessage) error {
		switch name {
		case "connections":
			return whole(at, v, &l.Connections)
		case "topics":
			return whole(at, v, &l.Topics)
		case "push_events":
			return rate(at, v, &l.PushEvents)
		case "push_bytes":
			return rate(at, v, &l.PushBytes)
		}
		return errUnknown
	})
}

func whole(at string, v json.RawMessage, to *int) error {
	if err := decode(at, v, to, "a whole number"); err != nil {
		return err
	}
	return positive(at, float64(*to))
}

func rate(at string, v json.RawMessage, to *float64) error {
	if err := decode(at, v, to, "a number"); err != nil {
		return err
	}
	return positive(at, *to)
}

// positive refuses a limit of 0, which would mean none.
func positive(at string, n float64) error {
	if n <= 0 {
		return fmt.Errorf("%s: must be more than 0; leave it out for the server's own limit", at)
	}
	return nil
}

func patterns(at string, v json.RawMessage) ([]wire.Pattern, error) {
	var texts []string
	if err := decode(at, v, &texts, "a list of topics and patterns"); err != nil {
		return nil, err
	}
	if len(texts) > maxRightsPatterns {
		return nil, fmt.Errorf("%s: has more than %d entries", at, maxRightsPatterns)
	}
	list := make([]wire.Pattern, len(texts))
	for i, s := range texts {
		var err error
		if list[i], err = wire.ParsePattern(s); err != nil {
			return nil, fmt.Errorf("%s[%d]: %s", at, i, reason(err))
		}
	}
	return list, nil
}

func parseUsers(at string, v json.RawMessage, to *[]string) error {
	if err := decode(at, v, to, "a list of users"); err != nil {
		return err
	}
	if len(*to) > maxRightsUsers {
		return fmt.Errorf("%s: has more than %d entries", at, maxRightsUsers)
	}
	for i, u := range *to {
		if err := checkUser(u); err != nil {
			return fmt.Errorf("%s[%d]: %w", at, i, err)
		}
	}
	return nil
}

// checkUser refuses a name that no event could be for.
func checkUser(name string) error {
	probe := wire.Event{Data: "", Users: []string{name}}
	if err := probe.Validate(); err != nil {
		return errors.New(reason(err))
	}
	return nil
}

// reason is what is wrong, without the field's name, which is ours to give.
func reason(err error) string {
	var field *wire.FieldError
	if errors.As(err, &field) {
		return field.Reason
	}
	return err.Error()
}

// errUnknown is what a member's reader says of a name that it does not know.
var errUnknown = errors.New("is not known here")

// object reads a JSON object, whose members all have to be known by their exact
// names: encoding/json would take other letters for the same name.
func object(at string, text []byte, read func(name, at string, v json.RawMessage) error) error {
	if !json.Valid(text) {
		return fmt.Errorf("%s: must be an object, and is %s", shown(at), garbled(text))
	}
	all, err := members(at, text)
	if err != nil {
		return err
	}
	for _, m := range all { // in an order, so that the error is the same each time
		path := m.name
		if at != "" {
			path = at + "." + m.name
		}
		if err := read(m.name, path, m.value); err == errUnknown {
			return fmt.Errorf("%.100q: %w", path, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// decode reads one value; null is none.
func decode(at string, v json.RawMessage, to any, what string) error {
	if s, ok := to.(*string); ok && text(v, s) == nil {
		return nil
	}
	if string(v) == "null" || json.Unmarshal(v, to) != nil {
		return fmt.Errorf("%s: must be %s", at, what)
	}
	return nil
}

// garbled says what is wrong with a text that is no JSON, by place alone: it may be a
// secret.
func garbled(text []byte) string {
	var wrong *json.SyntaxError
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return "empty"
	case errors.As(json.Unmarshal(text, new(any)), &wrong):
		return fmt.Sprintf("no JSON: see byte %d of %d", wrong.Offset, len(text))
	}
	return "no JSON"
}

func shown(at string) string {
	if at == "" {
		return "it"
	}
	return at
}
