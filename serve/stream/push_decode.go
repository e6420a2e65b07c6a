package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/spatehub/spate/internal/jsontext"
	"github.com/spatehub/spate/wire"
)

// push is the body of a push request.
type push struct {
	uids   []string // nil: everyone
	events []*wire.Event
}

// decodePush reads a body of the push API. It is stricter than encoding/json:
// names count as they are written, each at most once, and unknown ones are
// errors, so that a misspelt "uids" never turns a private event into a
// broadcast. The error names the place.
func decodePush(body []byte, maxUsers, maxEvents int) (*push, *Error) {
	switch {
	case !utf8.Valid(body):
		return nil, badRequest("", "the body is not valid UTF-8")
	case bytes.HasPrefix(body, []byte("\uFEFF")):
		return nil, badRequest("", "the body begins with a byte order mark: send it without")
	}
	d := pushDecoder{maxUsers: maxUsers, maxEvents: maxEvents, halves: jsontext.MayHaveSurrogates(body)}
	var text io.Reader = bytes.NewReader(body)
	if users, rest, ok := cutUsers(body, maxUsers); ok {
		d.users, text = users, rest
	}
	d.json = json.NewDecoder(text)
	return d.push()
}

// push reads the body.
func (d *pushDecoder) push() (*push, *Error) {
	d.json.UseNumber() // a number is never wanted, and none is too large to be refused as such
	p := &push{}
	err := d.object("", func(name string) error {
		switch name {
		case "uids":
			return d.uids(p)
		case "events":
			return d.events(p)
		}
		return badRequest(shortName(name), "is not known here")
	})
	if err == nil {
		err = d.end()
	}
	if err == nil && p.events == nil {
		err = badRequest("events", "is missing")
	}
	if err == nil && len(p.uids)*len(p.events) > maxPushDeliveries {
		err = tooMany("uids", fmt.Sprintf("%d users × %d events are more than the %d deliveries of a request", len(p.uids), len(p.events), maxPushDeliveries))
	}
	if err != nil {
		return nil, bodyError(err)
	}
	return p, nil
}

// bodyError is an error of decoding as an answer.
func bodyError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return badRequest("", "the body ends before its JSON does")
	}
	return badRequest("", "the body is not JSON: "+err.Error())
}

// pushDecoder walks a body token by token. Its methods return an *Error for
// what is wrong by our rules, else the JSON decoder's error.
type pushDecoder struct {
	json      *json.Decoder
	maxUsers  int
	maxEvents int
	halves    bool // strings may have one half of a surrogate pair

	users []string // those of the list, which is empty in json; nil: it is in json
}

// object reads an object and calls member for each name, with the decoder
// before the value.
func (d *pushDecoder) object(at string, member func(name string) error) error {
	if err := d.open('{', at, "is not an object"); err != nil {
		return err
	}
	seen := make(map[string]struct{}, 4)
	for d.json.More() {
		token, err := d.json.Token()
		if err != nil {
			return err
		}
		name := token.(string) // the decoder takes nothing else there
		if _, twice := seen[name]; twice {
			return badRequest(join(at, shortName(name)), "is given twice")
		}
		seen[name] = struct{}{}
		if err := member(name); err != nil {
			return err
		}
	}
	_, err := d.json.Token()
	return err
}

// open reads the token that begins an object or array.
func (d *pushDecoder) open(want json.Delim, at, otherwise string) error {
	token, err := d.json.Token()
	if err != nil {
		return err
	}
	if token != want {
		if at == "" {
			return badRequest("", "the body "+otherwise)
		}
		return badRequest(at, otherwise)
	}
	return nil
}

// uids reads the list of users, or null for everyone.
func (d *pushDecoder) uids(p *push) error {
	token, err := d.json.Token()
	if err != nil || token == nil {
		return err
	}
	if token != json.Delim('[') {
		return badRequest("uids", "is not a list")
	}
	p.uids = []string{} // from here on it is a list, however short
	if d.users != nil {
		p.uids, d.users = d.users, nil
	}
	for d.json.More() {
		if len(p.uids) == d.maxUsers {
			return tooMany("uids", fmt.Sprintf("has more than %d users", d.maxUsers))
		}
		at := fmt.Sprintf("uids[%d]", len(p.uids))
		uid, err := d.text(at)
		if err != nil {
			return err
		}
		probe := wire.Event{Data: "", Users: []string{uid}}
		if err := probe.Validate(); err != nil {
			return fieldError(at, err)
		}
		p.uids = append(p.uids, uid)
	}
	if len(p.uids) == 0 {
		return badRequest("uids", "is an empty list: leave it out for everyone")
	}
	_, err = d.json.Token()
	return err
}

// events reads the list of events.
func (d *pushDecoder) events(p *push) error {
	if err := d.open('[', "events", "is not a list"); err != nil {
		return err
	}
	for d.json.More() {
		if len(p.events) == d.maxEvents {
			return tooMany("events", fmt.Sprintf("has more than %d events", d.maxEvents))
		}
		e, err := d.event(fmt.Sprintf("events[%d]", len(p.events)))
		if err != nil {
			return err
		}
		p.events = append(p.events, e)
	}
	if len(p.events) == 0 {
		return badRequest("events", "is an empty list")
	}
	_, err := d.json.Token()
	return err
}

// event reads one event and checks it by the rules of the stream.
func (d *pushDecoder) event(at string) (*wire.Event, error) {
	e := &wire.Event{}
	err := d.object(at, func(name string) (err error) {
		here := join(at, name)
		switch name {
		case "event":
			e.Event, err = d.text(here)
		case "topic":
			if e.Topic, err = d.text(here); err == nil && e.Topic == "" {
				err = badRequest(here, "is empty: leave it out for those who follow any topic or none")
			}
		case "key":
			e.Key, err = d.text(here)
		case "data":
			e.Data, err = d.data(here)
		case "ephemeral":
			e.Ephemeral, err = d.boolean(here)
		case "id":
			var id string
			if id, err = d.text(here); err == nil && id != "" {
				err = badRequest(here, "is given by the hub")
			}
		default:
			err = badRequest(join(at, shortName(name)), "is not known here")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if e.Data == nil {
		return nil, badRequest(join(at, "data"), "is missing")
	}
	var fe *wire.FieldError
	if err := e.Validate(); errors.As(err, &fe) {
		return nil, badRequest(join(at, fe.Field), fe.Reason)
	}
	if err := e.ValidateType(); errors.As(err, &fe) {
		return nil, badRequest(join(at, fe.Field), fe.Reason)
	}
	return e, nil
}

// data reads any value but null: a string as its text, others as compact JSON.
func (d *pushDecoder) data(at string) (any, error) {
	var raw json.RawMessage
	if err := d.json.Decode(&raw); err != nil {
		return nil, err
	}
	switch raw[0] {
	case '"':
		return unquote(at, raw)
	case 'n':
		return nil, badRequest(at, "is null")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return nil, err
	}
	return json.RawMessage(compact.Bytes()), nil
}

func (d *pushDecoder) text(at string) (string, error) {
	if d.halves {
		var raw json.RawMessage
		if err := d.json.Decode(&raw); err != nil {
			return "", err
		}
		if raw[0] != '"' {
			return "", badRequest(at, "is not a string")
		}
		return unquote(at, raw)
	}
	token, err := d.json.Token()
	if err != nil {
		return "", err
	}
	s, ok := token.(string)
	if !ok {
		return "", badRequest(at, "is not a string")
	}
	return s, nil
}

func (d *pushDecoder) boolean(at string) (bool, error) {
	token, err := d.json.Token()
	if err != nil {
		return false, err
	}
	b, ok := token.(bool)
	if !ok {
		return false, badRequest(at, "is not true or false")
	}
	return b, nil
}

// end refuses anything after the body's object.
func (d *pushDecoder) end() error {
	if _, err := d.json.Token(); err == nil {
		return badRequest("", "the body goes on after its JSON")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}
