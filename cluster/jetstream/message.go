package jetstream

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/spatehub/spate/wire"
)

// format is the version of messages. A node that meets a higher one stops there: to
// pass it over would lose events. So a program that writes a new one does so once all
// nodes read it.
const format = 1

// Headers of a message. Values are percent-encoded where they are text.
const (
	headFormat = "Spate"
	headType   = "Spate-Event"
	headTopic  = "Spate-Topic" // of an event for users
	headKey    = "Spate-Key"
	headUsers  = "Spate-Users"
	headRetry  = "Spate-Retry" // milliseconds
)

// encode makes the message of an event, without a token.
func (c *config) encode(e *wire.Event) (*nats.Msg, error) {
	data, ok := e.Data.([]byte)
	if !ok {
		var err error
		if data, err = wire.AppendData(nil, e.Data); err != nil {
			return nil, err
		}
	}
	h := nats.Header{headFormat: {strconv.Itoa(format)}}
	set := func(key, value string) {
		if value != "" {
			h[key] = []string{url.PathEscape(value)}
		}
	}
	set(headType, e.Event)
	set(headKey, e.Key)
	if e.Retry > 0 {
		h[headRetry] = []string{strconv.FormatInt(int64((e.Retry+time.Millisecond-1)/time.Millisecond), 10)}
	}
	subject := c.name
	switch {
	case len(e.Users) == 1:
		subject += ".u." + base64.RawURLEncoding.EncodeToString([]byte(e.Users[0]))
		set(headTopic, e.Topic)
	case e.Users != nil:
		subject += ".m"
		names := make([]string, len(e.Users))
		for i, u := range e.Users {
			names[i] = url.PathEscape(u) // a comma is escaped
		}
		h[headUsers] = []string{strings.Join(names, ",")}
		set(headTopic, e.Topic)
	case e.Topic != "":
		subject += ".t." + base64.RawURLEncoding.EncodeToString([]byte(e.Topic))
	default:
		subject += ".b"
	}
	return &nats.Msg{Subject: subject, Header: h, Data: data}, nil
}

// errNewer: a node of a later version wrote what this one can't read.
type errNewer struct{ format string }

func (e *errNewer) Error() string {
	return fmt.Sprintf("jetstream: a message has format %s, and this program knows %d: a newer one is needed here", e.format, format)
}

// decode makes the event of a message. Anybody who may publish to the stream may have
// written it.
func (c *config) decode(subject string, h nats.Header, data []byte) (*wire.Event, error) {
	if v := h.Get(headFormat); v != strconv.Itoa(format) {
		if n, err := strconv.Atoi(v); err == nil && n > format {
			return nil, &errNewer{v}
		}
		return nil, fmt.Errorf("header %s is %q", headFormat, v)
	}
	e := &wire.Event{Data: data}
	for _, one := range [...]struct {
		key   string
		field *string
	}{{headType, &e.Event}, {headKey, &e.Key}, {headTopic, &e.Topic}} {
		if text := h.Get(one.key); text != "" {
			var err error
			if *one.field, err = url.PathUnescape(text); err != nil {
				return nil, fmt.Errorf("header %s: %w", one.key, err)
			}
		}
	}
	if text := h.Get(headRetry); text != "" {
		ms, err := strconv.ParseInt(text, 10, 40)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", headRetry, err)
		}
		e.Retry = time.Duration(ms) * time.Millisecond
	}
	if err := c.decodeAudience(e, strings.TrimPrefix(subject, c.name+"."), h); err != nil {
		return nil, err
	}
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return e, e.ValidateType()
}

// decodeAudience reads whom an event is for.
func (c *config) decodeAudience(e *wire.Event, kind string, h nats.Header) error {
	name := ""
	if len(kind) > 2 && kind[1] == '.' {
		b, err := base64.RawURLEncoding.DecodeString(kind[2:])
		if err != nil || len(b) == 0 {
			return fmt.Errorf("subject %q has no name", kind)
		}
		kind, name = kind[:1], string(b)
	}
	switch {
	case kind == "b" && e.Topic == "" && len(h[headUsers]) == 0:
	case kind == "t" && name != "" && e.Topic == "" && len(h[headUsers]) == 0:
		e.Topic = name
	case kind == "u" && name != "" && len(h[headUsers]) == 0:
		e.Users = []string{name}
	case kind == "m" && len(h[headUsers]) == 1:
		for text := range strings.SplitSeq(h.Get(headUsers), ",") {
			user, err := url.PathUnescape(text)
			if err != nil {
				return fmt.Errorf("header %s: %w", headUsers, err)
			}
			e.Users = append(e.Users, user)
		}
		if len(e.Users) > maxUsers {
			return fmt.Errorf("header %s has %d users, at most %d", headUsers, len(e.Users), maxUsers)
		}
	default:
		return fmt.Errorf("subject %q and headers contradict each other", kind)
	}
	return nil
}

// maxUsers is the engine's bound of one push.
const maxUsers = 100_000
