//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	donovanhide "github.com/donovanhide/eventsource"
	sponge "github.com/go-dev-frame/sponge/pkg/sse"
	launchdarkly "github.com/launchdarkly/eventsource"
	r3labs "github.com/r3labs/sse/v2"
	gosse "github.com/tmaxmax/go-sse"
	"go.uber.org/zap"
	"gopkg.in/cenkalti/backoff.v1"
)

// openGoSSE: a Connection of a Client, or Read for a finite stream.
func openGoSSE(r request) (running, error) {
	if r.Fresh != nil || r.Idle > 0 || r.Comment != nil {
		return running{}, errNoWay
	}
	ctx, cancel := context.WithCancel(context.Background())
	req, err := r.newRequest(ctx)
	if err != nil {
		cancel()
		return running{}, err
	}
	done := make(chan struct{})
	if r.Finite {
		go func() {
			defer close(done)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				r.fail(err)
				return
			}
			defer resp.Body.Close()
			for e, err := range gosse.Read(resp.Body, nil) {
				if err != nil {
					r.fail(err)
					return
				}
				r.Event(e.LastEventID, e.Type, e.Data)
			}
		}()
		return running{cancel, done}, nil
	}
	c := gosse.Client{
		Backoff: gosse.Backoff{InitialInterval: r.Interval},
		OnRetry: func(err error, _ time.Duration) { r.fail(err) },
	}
	conn := c.NewConnection(req)
	if r.MaxEvent > 0 {
		conn.Buffer(nil, r.MaxEvent)
	}
	conn.SubscribeToAll(func(e gosse.Event) {
		if r.Count != nil {
			r.Count()
			return
		}
		kind := e.Type
		if kind == "" {
			kind = "message"
		}
		r.Event(e.LastEventID, kind, e.Data)
	})
	go func() {
		defer close(done)
		r.fail(conn.Connect())
	}()
	return running{cancel, done}, nil
}

// openR3labs: SubscribeRaw with a context.
func openR3labs(r request) (running, error) {
	if r.Fresh != nil || r.Idle > 0 || r.Comment != nil || r.Method != "" {
		return running{}, errNoWay
	}
	var opts []func(*r3labs.Client)
	if r.MaxEvent > 0 {
		opts = append(opts, r3labs.ClientMaxBufferSize(r.MaxEvent))
	}
	c := r3labs.NewClient(r.URL, opts...)
	for name, value := range r.Header {
		c.Headers[name] = value
	}
	c.ReconnectStrategy = backoff.NewConstantBackOff(r.Interval)
	if r.Finite {
		c.ReconnectStrategy = &backoff.StopBackOff{}
	}
	c.ReconnectNotify = func(err error, _ time.Duration) { r.fail(err) }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.fail(c.SubscribeRawWithContext(ctx, func(e *r3labs.Event) {
			if r.Count != nil {
				r.Count()
				return
			}
			kind := string(e.Event)
			if kind == "" {
				kind = "message"
			}
			r.Event(string(e.ID), kind, string(e.Data))
		}))
	}()
	return running{cancel, done}, nil
}

// openLaunchDarkly: a Stream by a request, or a Decoder for a finite stream.
func openLaunchDarkly(r request) (running, error) {
	if r.Fresh != nil || r.Comment != nil || r.MaxEvent > 0 {
		return running{}, errNoWay
	}
	ctx, cancel := context.WithCancel(context.Background())
	req, err := r.newRequest(ctx)
	if err != nil {
		cancel()
		return running{}, err
	}
	done := make(chan struct{})
	if r.Finite {
		go func() {
			defer close(done)
			finite(req, r, func(body io.Reader) func() (launchdarkly.Event, error) { return launchdarkly.NewDecoder(body).Decode })
		}()
		return running{cancel, done}, nil
	}
	stopped := make(chan struct{})
	go func() {
		defer close(done)
		opts := []launchdarkly.StreamOption{
			launchdarkly.StreamOptionInitialRetry(r.Interval),
			launchdarkly.StreamOptionErrorHandler(func(err error) launchdarkly.StreamErrorHandlerResult {
				r.fail(err)
				return launchdarkly.StreamErrorHandlerResult{}
			}),
		}
		if r.Idle > 0 {
			opts = append(opts, launchdarkly.StreamOptionReadTimeout(r.Idle))
		}
		s, err := launchdarkly.SubscribeWithRequestAndOptions(req, opts...)
		if err != nil {
			r.fail(err)
			return
		}
		go func() { <-stopped; s.Close() }()
		for e := range s.Events {
			hand(r, e.Id(), e.Event(), e.Data())
		}
	}()
	return running{sync.OnceFunc(func() { close(stopped); cancel() }), done}, nil
}

// openDonovanhide: a Stream by a request and a client, or a Decoder.
func openDonovanhide(r request) (running, error) {
	if r.Fresh != nil || r.Comment != nil || r.MaxEvent > 0 || r.Idle > 0 {
		return running{}, errNoWay
	}
	ctx, cancel := context.WithCancel(context.Background())
	req, err := r.newRequest(ctx)
	if err != nil {
		cancel()
		return running{}, err
	}
	done := make(chan struct{})
	if r.Finite {
		go func() {
			defer close(done)
			finite(req, r, func(body io.Reader) func() (donovanhide.Event, error) { return donovanhide.NewDecoder(body).Decode })
		}()
		return running{cancel, done}, nil
	}
	stopped := make(chan struct{})
	go func() {
		defer close(done)
		s, err := donovanhide.SubscribeWith("", http.DefaultClient, req)
		if err != nil {
			r.fail(err)
			return
		}
		defer s.Close()
		for {
			select {
			case e, ok := <-s.Events:
				if !ok {
					return
				}
				hand(r, e.Id(), e.Event(), e.Data())
			case err, ok := <-s.Errors:
				if !ok {
					return
				}
				r.fail(err)
			case <-stopped:
				return
			}
		}
	}()
	return running{sync.OnceFunc(func() { close(stopped); cancel() }), done}, nil
}

func hand(r request, id, kind, data string) {
	if r.Count != nil {
		r.Count()
		return
	}
	if kind == "" {
		kind = "message"
	}
	r.Event(id, kind, data)
}

// finite reads one response by a library's decoder.
func finite[E interface {
	Id() string
	Event() string
	Data() string
}](req *http.Request, r request, decoder func(io.Reader) func() (E, error)) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.fail(err)
		return
	}
	defer resp.Body.Close()
	next := decoder(resp.Body)
	for {
		e, err := next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.fail(err)
			return
		}
		r.Event(e.Id(), e.Event(), e.Data())
	}
}

// openSponge: callbacks for the types that the tries use; data is JSON for it.
func openSponge(r request) (running, error) {
	if r.Fresh != nil || r.Comment != nil || r.MaxEvent > 0 || r.Idle > 0 || r.Method != "" || r.Finite {
		return running{}, errNoWay
	}
	c := sponge.NewClient(r.URL, sponge.WithClientHeaders(r.Header), sponge.WithClientLogger(zap.NewNop()),
		sponge.WithClientReconnectTimeInterval(r.Interval))
	for _, kind := range []string{"message", "order", "close"} {
		c.OnEvent(kind, func(e *sponge.Event) {
			if r.Count != nil {
				r.Count()
				return
			}
			text, err := json.Marshal(e.Data) // it has decoded them
			r.fail(err)
			r.Event(e.ID, e.Event, string(text))
		})
	}
	if err := c.Connect(); err != nil {
		return running{}, err
	}
	return running{func() {
		defer func() { _ = recover() }() // it closes a channel twice where it has ended by itself
		c.Disconnect()
	}, c.Wait()}, nil
}
