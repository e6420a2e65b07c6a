package client

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// first makes the first connection.
func (c *SSEClient) first(ctx context.Context) (*stream, error) {
	id, found, err := c.keeper.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if found {
		c.setLastID([]byte(id))
	}
	down := time.Now()
	if err := c.sleep(ctx, c.cfg.waits.delay); err != nil {
		return nil, err
	}
	c.waits.reset()
	c.tries = 1
	s, err := c.dial(ctx)
	if err == nil || ctx.Err() != nil || c.ctx.Err() != nil {
		return s, err
	}
	c.tellError(err)
	if permanent(err) || !c.cfg.waits.retryFirst {
		return nil, err
	}
	return c.reconnect(ctx, down, err)
}

// dial makes one connection; a Restart meanwhile begins anew. Its errors are
// classified by permanent.
func (c *SSEClient) dial(ctx context.Context) (*stream, error) {
	for {
		if c.ctx.Err() != nil { // ctx follows, but a moment later
			return nil, ErrDisconnected
		}
		s, err := c.dialOnce(ctx)
		switch {
		case err == nil:
			c.setState(StateOpen)
			return s, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, ErrRestart):
			continue
		case c.moved != nil && permanent(err):
			c.moved = nil // what it was for lasts no longer: ask where we were sent from
			continue
		}
		c.moved = nil // nor is a place that does not answer asked for ever
		return nil, fmt.Errorf("client: %s: %w", c.shownURL, err)
	}
}

func (c *SSEClient) dialOnce(ctx context.Context) (*stream, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	c.mu.Lock()
	c.state, c.restart, c.interrupt = StateConnecting, false, cancel
	a := attempt{cfg: c.cfg, hc: c.hc, request: c.newRequest, idle: c.cfg.idleTimeout, lastID: string(c.lastID)}
	if c.on.comment != nil {
		a.comments = func(text []byte) { c.comment(ctx, text) }
	}
	c.mu.Unlock()
	s, moved, err := a.open(ctx, cancel)
	if err == nil && moved != nil {
		c.moved = moved
	}
	return s, err
}

// comment hands out a comment, unless the stream or the client has ended since it
// was read.
func (c *SSEClient) comment(ctx context.Context, text []byte) {
	c.mu.Lock()
	fn := c.on.comment
	c.mu.Unlock()
	if fn != nil && ctx.Err() == nil && c.ctx.Err() == nil {
		fn(string(text))
	}
}

// reconnect tries until there is a connection. down is when there was the last
// healthy one. The error is permanent, a GiveUpError, or that of the context.
func (c *SSEClient) reconnect(ctx context.Context, down time.Time, lost error) (*stream, error) {
	for err := lost; ; {
		if errors.Is(err, ErrRestart) {
			c.tellReconnect(c.tries+1, 0, ErrRestart)
		} else if err := c.wait(ctx, down, err); err != nil {
			return nil, err
		}
		var s *stream
		if s, err = c.dial(ctx); err == nil {
			return s, nil
		}
		if ctx.Err() != nil || c.ctx.Err() != nil {
			return nil, err
		}
		c.tellError(err)
		if permanent(err) {
			return nil, err
		}
	}
}

// wait lets the time before the next attempt pass, unless the options forbid one.
func (c *SSEClient) wait(ctx context.Context, down time.Time, err error) error {
	var least time.Duration
	var status *StatusError
	if errors.As(err, &status) {
		least = status.RetryAfter
	}
	wait := c.waits.next(least)
	w := &c.cfg.waits
	if w.maxTries > 0 && c.tries >= w.maxTries || w.maxDowntime > 0 && time.Since(down)+wait > w.maxDowntime {
		return &GiveUpError{Tries: c.tries, Down: time.Since(down), Err: err}
	}
	c.tries++
	c.setState(StateWaiting)
	c.tellReconnect(c.tries, wait, err)
	return c.sleep(ctx, wait)
}

// sleep waits for d, for a Restart, or for the end of ctx, whose cause it then
// returns.
func (c *SSEClient) sleep(ctx context.Context, d time.Duration) error {
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.mu.Lock()
	c.interrupt = cancel
	if c.restart {
		cancel(ErrRestart)
	}
	c.mu.Unlock()
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-waiting.Done():
	}
	return context.Cause(ctx)
}
