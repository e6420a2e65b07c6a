package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spatehub/spate/wire"
)

// errEnough is why run ends a connection without an error: an event that ends the
// stream has come, or deliver wants no more.
var errEnough = errors.New("client: enough")

// fatalError ends the client whatever its cause: the promise of AtMostOnce can't
// be kept.
type fatalError struct{ error }

func (e fatalError) Unwrap() error { return e.error }

// run reads s and the connections after it until the client ends, and returns
// why: nil if that was asked for. Each event goes to its callbacks and then to
// deliver, which returns false to end the client.
func (c *SSEClient) run(ctx context.Context, s *stream, deliver func(*stream) bool) error {
	down := time.Now()
	for {
		err := c.readStream(ctx, s, deliver)
		var fatal fatalError
		switch {
		case c.ctx.Err() != nil || errors.Is(err, errEnough):
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case c.cfg.waits.never && errors.Is(err, ErrStreamEnd):
			return nil
		}
		if !errors.Is(err, ErrRestart) {
			c.tellError(err)
		}
		if permanent(err) || errors.As(err, &fatal) || c.cfg.waits.never {
			return err
		}
		if base, told := s.dec.Retry(); told {
			c.waits.base = min(base, MaxWait)
		}
		if s.events > 0 || time.Since(s.opened) >= c.cfg.waits.stable {
			c.waits.reset()
			c.tries, down = 0, time.Now()
		}
		if s, err = c.reconnect(ctx, down, err); err != nil {
			if c.ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// readStream hands out the events of one connection and closes it. The error
// says why it ended and is never nil.
func (c *SSEClient) readStream(ctx context.Context, s *stream, deliver func(*stream) bool) (err error) {
	// Also when a callback panics or ends its goroutine.
	defer s.close()
	c.cfg.logger.Info("client: connected", "url", c.shownURL, "last_event_id", c.LastEventID())
	c.tellOpen(s.header)
	for err == nil {
		err = c.readEvent(ctx, s, deliver)
	}
	return err
}

// readEvent hands out the next event.
func (c *SSEClient) readEvent(ctx context.Context, s *stream, deliver func(*stream) bool) error {
	err := s.next()
	// An event read ahead is not handed out after Disconnect, be it called by the
	// last one's callback. (ctx follows c.ctx, but a moment later.)
	if c.ctx.Err() != nil {
		return errEnough
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		// An ID counts also where no event came with it.
		id := []byte(s.dec.LastID())
		c.setLastID(id)
		c.tellError(c.keeper.after(id))
		return fmt.Errorf("client: %s: %w", c.shownURL, err)
	}
	c.idBuf = s.lastID(c.idBuf[:0])
	if err := c.keeper.before(c.idBuf); err != nil {
		return fatalError{fmt.Errorf("client: %w", err)}
	}
	fn, every := c.advance(c.idBuf, &s.raw)
	if s.told = endReason(&s.raw); s.told == "" {
		s.events++
	} else if fn == nil && !s.raw.HasID {
		return nil // the hub's word to the client, and no event of the application
	}
	c.tellGap(&s.raw)
	end, handOut := s.isEnd(c.cfg)
	if handOut {
		if fn != nil {
			fn(s.made())
		}
		if every != nil {
			every(s.made())
		}
		if !deliver(s) {
			return errEnough
		}
	}
	c.tellError(c.keeper.after(c.idBuf))
	if end {
		return errEnough
	}
	return nil
}

// advance moves the client's position to that after an event and returns its
// callbacks.
func (c *SSEClient) advance(id []byte, raw *wire.RawEvent) (fn, every func(*wire.Event)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID = append(c.lastID[:0], id...)
	if len(raw.Event) == 0 {
		return c.on.events[wire.DefaultEventType], c.on.every
	}
	return c.on.events[string(raw.Event)], c.on.every
}

func (c *SSEClient) setLastID(id []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID = append(c.lastID[:0], id...)
}
