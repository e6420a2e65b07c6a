//go:build linux

package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// request is what a try wants of a client.
type request struct {
	URL      string
	Method   string // "": GET
	Body     string
	Header   map[string]string
	Fresh    func() string // if not nil, the value of X-Token at each attempt
	Idle     time.Duration // 0: no time-out
	MaxEvent int           // 0: the client's own
	Interval time.Duration // before an attempt to connect again, where the server says nothing
	Finite   bool          // one response, to its end

	Count   func() // each event, where that is all that is wanted
	Event   func(id, kind, data string)
	Error   func(error)
	Comment func(string)
}

func (r *request) fail(err error) {
	if r.Error != nil && err != nil {
		r.Error(err)
	}
}

// running is a client at work. Stop asks it to end; Done is closed when it has,
// also by itself.
type running struct {
	Stop func()
	Done <-chan struct{}
}

// errNoWay is a client's answer to what it has no setting for.
var errNoWay = errors.New("no way to ask for that")

// library is a client under test.
type library struct {
	Name   string
	Module string
	Open   func(request) (running, error)
}

// libraries lists the clients in the tables' order.
func libraries() []library {
	return []library{
		{"spate", "", openSpate},
		{"spate, zero copy", "", openSpateRaw},
		{"go-sse", "github.com/tmaxmax/go-sse", openGoSSE},
		{"r3labs", "github.com/r3labs/sse/v2", openR3labs},
		{"launchdarkly", "github.com/launchdarkly/eventsource", openLaunchDarkly},
		{"donovanhide", "github.com/donovanhide/eventsource", openDonovanhide},
		{"sponge", "github.com/go-dev-frame/sponge", openSponge},
	}
}

// newRequest makes the http.Request of a library that takes one.
func (r *request) newRequest(ctx context.Context) (*http.Request, error) {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	var body io.Reader
	if r.Body != "" {
		body = strings.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL, body)
	if err != nil {
		return nil, err
	}
	for name, value := range r.Header {
		req.Header.Set(name, value)
	}
	return req, nil
}

func (r *request) spateClient() *client.SSEClient {
	opts := []client.Option{client.WithHeaders(r.Header), client.WithIdleTimeout(-1), client.WithReconnectInterval(r.Interval)}
	if r.Idle > 0 {
		opts = append(opts, client.WithIdleTimeout(r.Idle))
	}
	if r.Method != "" {
		opts = append(opts, client.WithMethod(r.Method))
	}
	if r.Body != "" {
		opts = append(opts, client.WithBody("text/plain", []byte(r.Body)))
	}
	if r.MaxEvent > 0 {
		opts = append(opts, client.WithMaxEventSize(r.MaxEvent))
	}
	if r.Fresh != nil {
		opts = append(opts, client.WithHeaderFunc(func(_ context.Context, h http.Header) error {
			h.Set("X-Token", r.Fresh())
			return nil
		}))
	}
	c := client.NewClient(r.URL, opts...)
	c.OnError(r.fail)
	if r.Comment != nil {
		c.OnComment(r.Comment)
	}
	return c
}

func openSpate(r request) (running, error) {
	if r.Finite {
		return doSpate(r)
	}
	done := make(chan struct{})
	c := r.spateClient()
	go func() {
		defer close(done)
		for e := range c.Events(context.Background()) {
			switch {
			case e == nil:
				return // the error has been told
			case r.Count != nil:
				r.Count()
			default:
				r.Event(e.ID, e.Event, e.Data.(string))
			}
		}
	}()
	return running{c.Disconnect, done}, nil
}

func doSpate(r request) (running, error) {
	ctx, cancel := context.WithCancel(context.Background())
	req, err := r.newRequest(ctx)
	if err != nil {
		cancel()
		return running{}, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e, err := range client.Do(ctx, req) {
			if err != nil {
				r.fail(err)
				return
			}
			r.Event(e.ID, e.Event, e.Data.(string))
		}
	}()
	return running{cancel, done}, nil
}

// openSpateRaw is the same client without copies.
func openSpateRaw(r request) (running, error) {
	done := make(chan struct{})
	c := r.spateClient()
	go func() {
		defer close(done)
		for raw := range c.RawEvents(context.Background()) {
			switch {
			case raw == nil:
				return
			case r.Count != nil:
				r.Count()
			case len(raw.Event) == 0:
				r.Event(string(raw.ID), wire.DefaultEventType, string(raw.Data))
			default:
				r.Event(string(raw.ID), string(raw.Event), string(raw.Data))
			}
		}
	}()
	return running{c.Disconnect, done}, nil
}
