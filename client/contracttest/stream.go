package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// params are what the suite wants of a stream.
type params struct {
	StreamURL      string            `json:"streamUrl"`
	CallbackURL    string            `json:"callbackUrl"`
	Tag            string            `json:"tag"`
	InitialDelayMS *int              `json:"initialDelayMs"`
	ReadTimeoutMS  int               `json:"readTimeoutMs"`
	LastEventID    string            `json:"lastEventId"`
	Method         string            `json:"method"`
	Body           string            `json:"body"`
	Headers        map[string]string `json:"headers"`
}

// stream is one client, whose events go to the suite's callback.
type stream struct {
	client   *client.SSEClient
	callback string
	sent     int // messages so far; the reading goroutine's
	ctx      context.Context
	cancel   context.CancelFunc
	done     chan struct{}
}

// newStream starts a client.
func newStream(p params) (*stream, error) {
	if p.StreamURL == "" || p.CallbackURL == "" {
		return nil, errors.New("streamUrl and callbackUrl have to be given")
	}
	opts := []client.Option{
		client.WithHeaders(p.Headers), client.WithLastEventID(p.LastEventID), client.WithIdleTimeout(-1), client.WithRetryFirst(),
	}
	if p.Body != "" {
		opts = append(opts, client.WithBody("", []byte(p.Body)))
	}
	if p.Method != "" {
		opts = append(opts, client.WithMethod(p.Method))
	}
	if p.InitialDelayMS != nil {
		opts = append(opts, client.WithReconnectInterval(time.Duration(*p.InitialDelayMS)*time.Millisecond))
	}
	if p.ReadTimeoutMS > 0 {
		opts = append(opts, client.WithIdleTimeout(time.Duration(p.ReadTimeoutMS)*time.Millisecond))
	}
	s := &stream{client: client.NewClient(p.StreamURL, opts...), callback: p.CallbackURL, done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.client.OnError(func(err error) { s.send(message{Kind: "error", Comment: err.Error()}) })
	s.client.OnComment(func(text string) { s.send(message{Kind: "comment", Comment: text}) })
	go s.run()
	return s, nil
}

// run reads to the end. What ends the client has been told by OnError.
func (s *stream) run() {
	defer close(s.done)
	for e, err := range s.client.Events(s.ctx) {
		if err != nil {
			return
		}
		s.send(message{Kind: "event", Event: eventMessage(e)})
	}
}

func (s *stream) close() {
	s.client.Disconnect()
	s.cancel()
	<-s.done
}

// message is a callback's body.
type message struct {
	Kind    string         `json:"kind"`
	Event   map[string]any `json:"event,omitempty"`
	Comment string         `json:"comment,omitempty"`
}

func eventMessage(e *wire.Event) map[string]any {
	return map[string]any{"type": e.Event, "data": e.Data, "id": e.ID}
}

// send posts a message under its number.
func (s *stream) send(m message) {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings only
	}
	s.sent++
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s/%d", s.callback, s.sent), bytes.NewReader(text))
	if err != nil {
		return // the suite's URL: it will miss the message
	}
	req.Header.Set("Content-Type", "application/json")
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
	}
}
