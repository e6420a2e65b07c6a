package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"sync/atomic"

	"github.com/spatehub/spate/wire"
)

// Do sends req and iterates over the events of its one response, until the server
// ends it, without connecting again:
//
//	for e, err := range client.Do(ctx, req, client.WithEndData("[DONE]")) {
//		if err != nil {
//			return err
//		}
//		fmt.Print(e.Data)
//	}
//
// There is one error at most, and it comes last: a response that is no event
// stream (a [StatusError] has the server's message), an event of the type "error"
// ([EventError]), a connection that breaks, the end of ctx, which gives its cause,
// a stream that is cut in the middle of an event or ends before the event that
// [WithEnd] and [WithEndData] wait for ([ErrCut]). A hub's disconnect event is
// none of the application and gives an [EndError]. Without such an event, and over
// HTTP/1 without length or chunks, a cut between two events looks like an end.
//
// Accept and Accept-Encoding are added where req does not have them. Redirects are
// followed as by a client, 307 and 308 where req has a GetBody. The options are
// those that say so; others are refused. Each loop sends the request, so that a
// second one needs a GetBody too.
func Do(ctx context.Context, req *http.Request, opts ...Option) iter.Seq2[*wire.Event, error] {
	var asked atomic.Bool
	return func(yield func(*wire.Event, error) bool) {
		left, err := do(ctx, req, &asked, opts, func(s *stream) bool { return yield(s.made(), nil) })
		if err != nil && !left {
			yield(nil, err)
		}
	}
}

// DoRaw is [Do] without copies: the event and its slices are valid until the loop
// asks for the next one, and must not be changed. Bytes are as they came, invalid
// UTF-8 included, and an empty type stands for [wire.DefaultEventType].
func DoRaw(ctx context.Context, req *http.Request, opts ...Option) iter.Seq2[*wire.RawEvent, error] {
	var asked atomic.Bool
	return func(yield func(*wire.RawEvent, error) bool) {
		left, err := do(ctx, req, &asked, opts, func(s *stream) bool { return yield(&s.raw, nil) })
		if err != nil && !left {
			yield(nil, err)
		}
	}
}

// Read is [Do] for a response that is there already, from whatever has sent the
// request. It ends with the context of that request and closes the body. Of the
// options, those about requests mean nothing here.
func Read(resp *http.Response, opts ...Option) iter.Seq2[*wire.Event, error] {
	return func(yield func(*wire.Event, error) bool) {
		left, err := read(resp, opts, func(s *stream) bool { return yield(s.made(), nil) })
		if err != nil && !left {
			yield(nil, err)
		}
	}
}

// errBodyUsed is the error of a second loop that would ask without a question.
var errBodyUsed = errors.New("the request's body has been sent by an earlier loop: to be sent again it needs a GetBody")

// do sends a request and reads its response. asked tells whether a loop before this
// one has sent it; left means that the loop was left.
func do(ctx context.Context, req *http.Request, asked *atomic.Bool, opts []Option, deliver func(*stream) bool) (left bool, err error) {
	s, cfg, closeIdle, err := openOnce(ctx, req, asked, opts)
	if err == nil {
		defer closeIdle()
		left, err = s.readOnce(cfg, deliver)
	}
	if err != nil {
		err = fmt.Errorf("client: %s: %w", showURL(req.URL.String()), err)
	}
	return left, err
}

// read reads a response.
func read(resp *http.Response, opts []Option, deliver func(*stream) bool) (left bool, err error) {
	cfg, err := onceConfig(opts)
	if err != nil {
		_ = resp.Body.Close()
		return false, err
	}
	ctx, shown := context.Background(), "the response"
	if resp.Request != nil {
		ctx, shown = resp.Request.Context(), showURL(resp.Request.URL.String())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	a := attempt{cfg: cfg}
	body, err := a.body(resp, newIdleTimer(cfg.idleTimeout, func() { cancel(ErrIdle); _ = resp.Body.Close() }))
	if err == nil {
		left, err = a.stream(ctx, cancel, resp, body).readOnce(cfg, deliver)
	} else {
		cancel(nil)
		_ = resp.Body.Close()
	}
	if err != nil {
		err = fmt.Errorf("client: %s: %w", shown, err)
	}
	return left, err
}

// readOnce hands out the events of a finite stream and closes it.
func (s *stream) readOnce(cfg *config, deliver func(*stream) bool) (left bool, err error) {
	defer s.close()
	for {
		if err := s.next(); errors.Is(err, ErrStreamEnd) && cfg.end == nil && !cfg.hasEndData {
			return false, nil
		} else if errors.Is(err, ErrStreamEnd) {
			return false, ErrCut
		} else if err != nil {
			return false, err
		}
		if s.told = endReason(&s.raw); s.told != "" && !s.raw.HasID {
			continue
		}
		if string(s.raw.Event) == "error" {
			return false, &EventError{Event: s.made()}
		}
		end, handOut := s.isEnd(cfg)
		if handOut && !deliver(s) {
			return true, nil
		}
		if end {
			return false, nil
		}
	}
}

// onceConfig is the options of one response.
func onceConfig(opts []Option) (*config, error) {
	cfg := newConfig(append([]Option{WithIdleTimeout(-1)}, opts...))
	if len(cfg.life) > 0 {
		cfg.fault(cfg.life[0], "has no meaning for Do")
	}
	return cfg, cfg.valid()
}

// openOnce opens the stream of Do.
func openOnce(ctx context.Context, req *http.Request, asked *atomic.Bool, opts []Option) (*stream, *config, func(), error) {
	cfg, err := onceConfig(opts)
	if err != nil {
		return nil, nil, nil, err
	}
	hc, closeIdle, err := cfg.request.client()
	if err != nil {
		return nil, nil, nil, err
	}
	if asked.Swap(true) && req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		closeIdle()
		return nil, nil, nil, errBodyUsed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	a := attempt{cfg: cfg, hc: hc, idle: cfg.idleTimeout, request: func(ctx context.Context) (*http.Request, error) {
		own := req.Clone(ctx)
		if own.Header == nil {
			own.Header = make(http.Header)
		}
		if req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			own.Body = body
		}
		return own, cfg.request.prepare(ctx, own)
	}}
	s, _, err := a.open(ctx, cancel)
	if err != nil {
		closeIdle()
		return nil, nil, nil, err
	}
	return s, cfg, closeIdle, nil
}
