package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// tailConfig is what `spate tail` was asked to do.
type tailConfig struct {
	auth   credentials
	url    string // of the hub
	uid    string
	topics listValue
	types  listValue
	lastID string
	since  sinceValue
	json   bool
	count  int
	idle   time.Duration
	most   sizeValue // bytes of an event
}

func parseTail(s streams, args []string) (*tailConfig, error) {
	c := &tailConfig{idle: client.DefaultIdleTimeout, most: client.DefaultMaxEventSize}
	fs := newFlagSet("tail [flags]")
	fs.StringVar(&c.url, "url", defaultURL, "`address` of the hub")
	c.auth.addFlags(fs)
	fs.StringVar(&c.uid, "uid", "", "be this `user`, and get what is pushed to it")
	fs.Var(&c.topics, "topic", "follow this `topic`; may be given several times")
	fs.Var(&c.types, "event", "print only events of this `type`; may be given several times (default all)")
	fs.StringVar(&c.lastID, "last-event-id", "", "begin after the event with this `ID` instead of with the next one")
	beginning := fs.Bool("from-beginning", false, "begin with the oldest event that the hub keeps")
	fs.Var(&c.since, "since", "begin with the events of this `time`, such as 2026-11-27T10:00:00Z, or of an age, such as 15m or 7d")
	fs.BoolVar(&c.json, "json", false, "print each event as a JSON object")
	fs.IntVar(&c.count, "count", 0, "end after this `number` of events (0: go on until interrupted)")
	fs.Var((*ageValue)(&c.idle), "idle-timeout", "connect again when nothing, not even a heartbeat, has come for this `time` (0: never)")
	fs.Var(&c.most, "max-event-size", "largest event to take, such as `64MiB`; a larger one ends the command")
	if err := fs.parse(s, args); err != nil {
		return nil, err
	}
	if c.most == 0 || c.most > math.MaxInt32 {
		return nil, usagef("--max-event-size %v: give a size up to 2GiB, and not 0", &c.most)
	}
	if c.idle == 0 {
		c.idle = -1 // what the client calls never
	}
	if fs.NArg() > 0 {
		return nil, usagef("unexpected argument %q", fs.Arg(0))
	}
	if strings.ContainsFunc(c.lastID, unicode.IsControl) {
		return nil, usagef("--last-event-id %q: is no ID: it has a control character", c.lastID)
	}
	if c.count < 0 {
		return nil, usagef("--count %d: give a positive number, or 0 for no end", c.count)
	}
	if err := c.setStart(*beginning); err != nil {
		return nil, err
	}
	if err := c.auth.validate(); err != nil {
		return nil, err
	}
	base, err := hubURL(c.url)
	c.url = base
	return c, err
}

// runTail prints events on the standard output, and what becomes of the connection on the standard error.
func runTail(ctx context.Context, s streams, args []string) error {
	c, err := parseTail(s, args)
	if err != nil {
		return err
	}
	ctx, cancel := untilSignal(ctx, s.signals)
	defer cancel()
	transport, err := c.auth.client()
	if err != nil {
		return err
	}
	stream := client.NewClient(c.streamURL(), client.WithLastEventID(c.lastID), client.WithIdleTimeout(c.idle), client.WithMaxEventSize(int(c.most)),
		client.WithHeaders(c.auth.header()), client.WithHTTPClient(transport))
	// Whether the command goes on after an error is not known before it waits: what ends it is told once, by its last line.
	stream.OnReconnect(func(_ int, wait time.Duration, err error) {
		fmt.Fprintf(s.err, "spate tail: not connected (%v), trying again in %v\n", err, wait.Round(100*time.Millisecond))
	})
	connects := 0
	stream.OnOpen(func(http.Header) {
		if connects++; connects > 1 {
			fmt.Fprintf(s.err, "spate tail: connected again, going on after %s\n", orNothing(stream.LastEventID()))
		}
	})
	return c.explain(c.print(s.out, stream.Events(ctx)), stream.LastEventID())
}

// explain says why the command ends, and what can be done: nil where an interrupt ends it.
func (c *tailConfig) explain(err error, lastID string) error {
	var status *client.StatusError
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return nil
	case errors.Is(err, wire.ErrEventTooLarge):
		return fmt.Errorf("the event after %s is larger than %v; go on with --last-event-id and a larger --max-event-size", orNothing(lastID), &c.most)
	case errors.As(err, &status) && status.Code == http.StatusNoContent:
		return errors.New("the server asks its clients not to come back (204 No Content)")
	}
	return explainConnect(c.url, err)
}

func orNothing(id string) string {
	if id == "" {
		return "nothing"
	}
	return id
}

func (c *tailConfig) streamURL() string {
	q := url.Values{}
	if c.uid != "" {
		q.Set("uid", c.uid)
	}
	for _, t := range c.topics.values {
		q.Add("topic", t)
	}
	if at := c.since.String(); at != "" {
		q.Set("since", at)
	}
	if len(q) == 0 {
		return c.url + "/events"
	}
	return c.url + "/events?" + q.Encode()
}

// print writes events until there are enough or no more.
func (c *tailConfig) print(out io.Writer, events func(yield func(*wire.Event, error) bool)) error {
	printed := 0
	for e, err := range events {
		if err != nil {
			return err
		}
		if len(c.types.values) > 0 && !slices.Contains(c.types.values, e.Event) {
			continue
		}
		if _, err := out.Write(c.line(e)); err != nil {
			return err
		}
		if printed++; printed == c.count {
			return nil
		}
	}
	return nil
}

// line is an event as a JSON object, or as ID, type and data between tabs.
func (c *tailConfig) line(e *wire.Event) []byte {
	data, _ := e.Data.(string)
	if !c.json {
		return fmt.Appendf(nil, "%s\t%s\t%s\n", orDash(e.ID), printable(e.Event), printable(data))
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		ID    string `json:"id"`
		Event string `json:"event"`
		Data  string `json:"data"`
	}{e.ID, e.Event, data})
	if err != nil {
		panic(err) // three strings into a buffer
	}
	return text.Bytes()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return printable(text)
}

// printable is text on one line, without what could steer a terminal: whoever can push an event should not be able to
// rewrite the screen of whoever reads it.
func printable(text string) string {
	if !strings.ContainsFunc(text, unicode.IsControl) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
