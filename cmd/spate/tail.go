package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	url    string // of the hub
	uid    string
	topics listValue
	types  listValue
	lastID string
	json   bool
	count  int
	idle   time.Duration
}

func parseTail(s streams, args []string) (*tailConfig, error) {
	c := &tailConfig{idle: client.DefaultIdleTimeout}
	fs := newFlagSet("tail [flags]")
	fs.StringVar(&c.url, "url", defaultURL, "`address` of the hub")
	fs.StringVar(&c.uid, "uid", "", "be this `user`, and get what is pushed to it")
	fs.Var(&c.topics, "topic", "follow this `topic`; may be given several times")
	fs.Var(&c.types, "event", "print only events of this `type`; may be given several times (default all)")
	fs.StringVar(&c.lastID, "last-event-id", "", "begin after the event with this `ID` instead of with the next one")
	fs.BoolVar(&c.json, "json", false, "print each event as a JSON object")
	fs.IntVar(&c.count, "count", 0, "end after this `number` of events (0: go on until interrupted)")
	fs.Var((*ageValue)(&c.idle), "idle-timeout", "connect again when nothing, not even a heartbeat, has come for this `time` (0: never)")
	if err := fs.parse(s, args); err != nil {
		return nil, err
	}
	if c.idle == 0 {
		c.idle = -1 // what the client calls never
	}
	if fs.NArg() > 0 {
		return nil, usagef("unexpected argument %q", fs.Arg(0))
	}
	if c.count < 0 {
		return nil, usagef("--count %d: give a positive number, or 0 for no end", c.count)
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
	stream := client.NewClient(c.streamURL(), client.WithLastEventID(c.lastID), client.WithIdleTimeout(c.idle))
	stream.OnDisconnect(func(err error) {
		if err != nil {
			fmt.Fprintf(s.err, "spate tail: connection lost (%v), trying again\n", err)
		}
	})
	connects := 0
	stream.OnConnect(func() {
		if connects++; connects > 1 {
			fmt.Fprintf(s.err, "spate tail: connected again, going on after %s\n", orNothing(stream.LastEventID()))
		}
	})
	err = c.print(s.out, stream.Events(ctx))
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return explainConnect(c.url, err)
	}
	return nil
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
