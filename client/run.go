package client

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/spatehub/spate/wire"
)

// closeEvent is the type of event by which a server asks not to come back.
const closeEvent = "close"

// disconnectEvent is the type of event by which a hub says why it ends the
// connection.
const disconnectEvent = "disconnect"

// disconnectReason returns the reason that a hub gives for ending the connection
// where e, which has just been read, is its word for that; else "". Such an event
// has no ID of its own, so that the last one stays what it was.
func (c *SSEClient) disconnectReason(e *wire.Event) string {
	if e.Event != disconnectEvent || e.ID != c.LastEventID() {
		return ""
	}
	var told struct{ Reason string }
	text, _ := e.Data.(string)
	if json.Unmarshal([]byte(text), &told) != nil {
		return ""
	}
	return told.Reason
}

// errEnough is why run ends a connection without an error: the server has sent
// closeEvent, or deliver wants no more.
var errEnough = errors.New("client: enough")

// run reads s and the connections after it until the client ends, and returns
// why: nil if that was asked for. Each event goes to its callback and then to
// deliver, which returns false to end the client.
func (c *SSEClient) run(ctx context.Context, s *stream, deliver func(*wire.Event) bool) error {
	waits := backoff{base: c.cfg.interval, max: c.cfg.maxBackoff}
	for {
		err := c.readStream(ctx, s, deliver)
		switch {
		case c.ctx.Err() != nil || errors.Is(err, errEnough):
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case permanent(err):
			return err
		}
		if base, told := s.dec.Retry(); told {
			waits.base = base
		}
		if s.events > 0 || time.Since(s.opened) >= waits.max {
			waits.reset()
		}
		if s, err = c.reconnect(ctx, &waits, err); err != nil {
			if c.ctx.Err() != nil || askedToStop(err) {
				return nil
			}
			return err
		}
	}
}

// readStream hands out the events of one connection and closes it. The error
// says why it ended and is never nil.
func (c *SSEClient) readStream(ctx context.Context, s *stream, deliver func(*wire.Event) bool) (err error) {
	// Also when a callback panics or ends its goroutine.
	defer s.close()
	c.cfg.logger.Info("client: connected", "url", c.shownURL, "last_event_id", c.LastEventID())
	c.connected()
	for err == nil {
		err = c.readEvent(ctx, s, deliver)
	}
	s.close()
	if ctx.Err() != nil || errors.Is(err, errEnough) {
		c.disconnected(nil)
	} else {
		c.disconnected(err)
	}
	return err
}

// readEvent hands out the next event.
func (c *SSEClient) readEvent(ctx context.Context, s *stream, deliver func(*wire.Event) bool) error {
	e, err := s.dec.Next()
	// An event read ahead is not handed out after Disconnect, be it called by the
	// last one's callback. (ctx follows c.ctx, but a moment later.)
	if c.ctx.Err() != nil {
		return errEnough
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	reason := c.disconnectReason(&e)
	fn := c.advance(s.dec.LastID(), e.Event)
	if err != nil {
		return c.wrap(s.why(err))
	}
	if s.told = reason; reason == "" {
		s.events++
	} else if fn == nil {
		return nil // the hub's word to the client, and no event of the application
	}
	if fn != nil {
		fn(&e)
	}
	if !deliver(&e) || e.Event == closeEvent {
		return errEnough
	}
	return nil
}

// reconnect tries until there is a connection. The error is permanent, or that
// of the context.
func (c *SSEClient) reconnect(ctx context.Context, waits *backoff, lost error) (*stream, error) {
	var after time.Duration
	for err := lost; ; {
		wait := after + waits.next()
		c.cfg.logger.Info("client: not connected, trying again", "url", c.shownURL, "error", err, "wait", wait)
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
		var s *stream
		if s, err = c.dial(ctx); err == nil {
			return s, nil
		}
		if ctx.Err() != nil || permanent(err) {
			return nil, err
		}
		var status *StatusError
		if after = 0; errors.As(err, &status) {
			after = status.RetryAfter
		}
	}
}

// sleep waits for d, or for the end of ctx, whose cause it then returns.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// advance moves the client's position and returns the callback of a type.
func (c *SSEClient) advance(lastID, eventType string) func(*wire.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID = lastID
	return c.callbacks[eventType]
}

func (c *SSEClient) connected() {
	c.mu.Lock()
	fn := c.onConnect
	c.mu.Unlock()
	if fn != nil {
		fn()
	}
}

func (c *SSEClient) disconnected(err error) {
	c.mu.Lock()
	fn := c.onDisconnect
	c.mu.Unlock()
	if fn != nil {
		fn(err)
	}
}
