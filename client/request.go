package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spatehub/spate/client/internal/mimetype"
	"github.com/spatehub/spate/wire"
)

// parseURL checks the URL of a stream. Its error does not show the URL, whose
// query may hold a secret.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("client: malformed URL: %w", withoutURL(err))
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("client: %s: give a URL of http or https with a host", showURL(raw))
	}
	return u, nil
}

// newRequest makes the client's request to its URL. Where a permanent redirect is
// known it is sent there, without what is not for that host.
func (c *SSEClient) newRequest(ctx context.Context) (*http.Request, error) {
	r := &c.cfg.request
	method := r.method
	if method == "" {
		method = http.MethodGet
		if r.body != nil {
			method = http.MethodPost
		}
	}
	target := *c.target
	target.User = nil
	req, err := http.NewRequestWithContext(ctx, method, target.String(), nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	if u := c.target.User; u != nil {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	if err := r.prepare(ctx, req); err != nil {
		return nil, err
	}
	if id := c.LastEventID(); id != "" {
		if strings.ContainsFunc(id, unfitForHeader) {
			c.cfg.logger.Warn("client: the last event ID can't be sent in a header, so the stream starts anew", "last_event_id", id)
		} else {
			req.Header.Set("Last-Event-ID", id)
		}
	}
	if c.moved != nil {
		if !sameHost(req.URL, c.moved) {
			strip(req)
		}
		req.URL = c.moved
	}
	if r.body != nil {
		req.GetBody = r.body
		if req.Body, err = r.body(); err != nil {
			return nil, err
		}
		if req.ContentLength = r.bodyLen; r.bodyLen == 0 {
			req.Body, req.GetBody = http.NoBody, nil // else net/http takes 0 for unknown
		}
	}
	return req, nil
}

// prepare sets the headers of a request: the client's own first, the user's over
// them.
func (r *requestConfig) prepare(ctx context.Context, req *http.Request) error {
	setDefault(req.Header, "Accept", "text/event-stream")
	setDefault(req.Header, "Cache-Control", "no-cache")
	encoding := "identity"
	if r.compression {
		encoding = acceptEncoding
	}
	setDefault(req.Header, "Accept-Encoding", encoding)
	for name, values := range r.headers {
		req.Header[name] = values
	}
	if r.headerFunc != nil {
		if err := r.headerFunc(ctx, req.Header); err != nil {
			return fmt.Errorf("headers: %w", err)
		}
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	return nil
}

func setDefault(h http.Header, name, value string) {
	if _, there := h[name]; !there {
		h.Set(name, value)
	}
}

// unfitForHeader reports the control characters that net/http refuses to send.
func unfitForHeader(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// attempt is one try to open a stream.
type attempt struct {
	cfg      *config
	hc       *http.Client
	request  func(ctx context.Context) (*http.Request, error)
	idle     time.Duration
	lastID   string
	comments func(text []byte) // nil: nobody wants them
}

// open sends the request and returns the stream, whose context is below ctx and
// ends by cancel with a cause. moved is as follow has it, also beside an error.
func (a *attempt) open(ctx context.Context, cancel context.CancelCauseFunc) (s *stream, moved *url.URL, err error) {
	idle := newIdleTimer(a.idle, func() { cancel(ErrIdle) })
	defer func() {
		if err == nil {
			return
		}
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
	}()
	req, err := a.request(ctx)
	if err != nil {
		return nil, nil, err
	}
	idle.begin()
	resp, moved, err := follow(a.hc, req, a.cfg.request.http.CheckRedirect)
	idle.end()
	if err != nil {
		return nil, moved, err
	}
	body, err := a.body(resp, idle)
	if err != nil {
		_ = resp.Body.Close()
		return nil, moved, err
	}
	return a.stream(ctx, cancel, resp, body), moved, nil
}

// stream makes a stream of a response whose events are in body.
func (a *attempt) stream(ctx context.Context, cancel context.CancelCauseFunc, resp *http.Response, body io.Reader) *stream {
	opts := []wire.DecoderOption{wire.WithMaxEventSize(a.cfg.maxEventSize), wire.WithLastID(a.lastID)}
	if a.comments != nil {
		opts = append(opts, wire.WithComments(a.comments))
	}
	return &stream{
		ctx:    ctx,
		cancel: cancel,
		body:   resp.Body,
		header: resp.Header,
		dec:    wire.NewDecoder(body, opts...),
		opened: time.Now(),
	}
}

// body returns the event stream of a response, or says why it is none.
func (a *attempt) body(resp *http.Response, idle *idleTimer) (io.Reader, error) {
	body, err := decoded(resp, &idleReader{resp.Body, idle})
	if resp.StatusCode != http.StatusOK {
		if err != nil {
			body = http.NoBody
		}
		return nil, newStatusError(resp, body)
	}
	if err != nil {
		return nil, err
	}
	types := resp.Header.Values("Content-Type")
	if mimetype.Essence(types) == "text/event-stream" {
		return body, nil
	}
	text, said := readError(resp, body)
	return nil, &ContentTypeError{ContentType: strings.Join(types, ", "), Message: said, Header: resp.Header, Body: text}
}
