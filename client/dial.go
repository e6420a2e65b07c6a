package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spatehub/spate/wire"
)

// stream is one connection, open for reading.
type stream struct {
	ctx    context.Context // ends with the connection; its cause says why
	cancel context.CancelCauseFunc
	body   io.Closer
	dec    *wire.Decoder
	opened time.Time
	events int    // dispatched so far, without the hub's disconnect event
	told   string // its reason, if that was the latest event; else ""
}

// close ends the connection.
func (s *stream) close() {
	s.cancel(nil)
	_ = s.body.Close() // cancelled: there is nothing left that could fail
}

// why is the reason behind err, an error of reading from the stream.
func (s *stream) why(err error) error {
	if cause := context.Cause(s.ctx); cause != nil {
		return cause
	}
	if errors.Is(err, io.EOF) {
		if s.told != "" {
			return &EndError{Reason: s.told}
		}
		return errStreamEnd
	}
	return err
}

// dial makes one connection. Its errors are classified by permanent.
func (c *SSEClient) dial(ctx context.Context) (*stream, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	idle := newIdleTimer(c.cfg.idleTimeout, func() { cancel(ErrIdle) })
	resp, err := c.request(ctx, idle)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
		return nil, c.wrap(err)
	}
	if err := checkResponse(resp); err != nil {
		cancel(nil)
		_ = resp.Body.Close()
		return nil, c.wrap(err)
	}
	return &stream{
		ctx:    ctx,
		cancel: cancel,
		body:   resp.Body,
		dec: wire.NewDecoder(&idleReader{resp.Body, idle},
			wire.WithMaxEventSize(c.cfg.maxEventSize), wire.WithLastID(c.LastEventID())),
		opened: time.Now(),
	}, nil
}

// wrap says which URL an error of a connection is about.
func (c *SSEClient) wrap(err error) error {
	return fmt.Errorf("client: %s: %w", c.shownURL, err)
}

// request sends the request and waits for the response's headers.
func (c *SSEClient) request(ctx context.Context, idle *idleTimer) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Cache-Control", "no-cache")
	for name, value := range c.cfg.headers {
		if strings.EqualFold(name, "Host") {
			req.Host = value
			continue
		}
		req.Header.Set(name, value)
	}
	if id := c.LastEventID(); id != "" {
		if strings.ContainsFunc(id, unfitForHeader) {
			c.cfg.logger.Warn("client: the last event ID can't be sent in a header, so the stream starts anew", "last_event_id", id)
		} else {
			req.Header.Set("Last-Event-ID", id)
		}
	}
	idle.begin()
	defer idle.end()
	resp, err := c.cfg.http.Do(req)
	return resp, withoutURL(err)
}

// unfitForHeader reports the control characters that net/http refuses to send.
func unfitForHeader(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// checkResponse is nil for an event stream.
func checkResponse(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return &StatusError{Code: resp.StatusCode, RetryAfter: retryAfter(resp)}
	}
	contentType := resp.Header.Get("Content-Type")
	if mediaType, _, _ := mime.ParseMediaType(contentType); mediaType != "text/event-stream" {
		return fmt.Errorf("%w but %q", ErrContentType, contentType)
	}
	return nil
}

// maxRetryAfter bounds what a Retry-After may ask for.
const maxRetryAfter = time.Hour

// retryAfter reads a Retry-After: seconds or a date, which is compared with the
// server's own clock where the response shows it.
func retryAfter(resp *http.Response) time.Duration {
	value := resp.Header.Get("Retry-After")
	if value == "" || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(date.Sub(now), 0), maxRetryAfter)
}

// withoutURL strips the URL, whose query may hold a secret, from err.
func withoutURL(err error) error {
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		return urlErr.Err
	}
	return err
}

// showURL is raw as far as it may be logged: without user, query and fragment.
func showURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(malformed URL)"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
