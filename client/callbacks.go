package client

import (
	"net/http"
	"time"

	"github.com/spatehub/spate/wire"
)

// callbacks are the user's functions, guarded by the client's mutex. All of them
// run one at a time, in the goroutine that reads.
type callbacks struct {
	events    map[string]func(*wire.Event)
	every     func(*wire.Event)
	open      func(http.Header)
	err       func(error)
	reconnect func(attempt int, wait time.Duration, err error)
	comment   func(string)
	gap       func(Gap)
}

// OnEvent registers fn for the events of a type; "" is [wire.DefaultEventType],
// [EveryType] stands for all types and comes after the type's own. There is one
// function for each type: a later one takes an earlier one's place, nil removes
// it. Events of types without a function are passed over.
//
// All callbacks of a client run one at a time, in the order of the stream, and
// the next event is read when fn has returned. fn may keep the event. A panic of
// fn is not caught.
func (c *SSEClient) OnEvent(eventType string, fn func(*wire.Event)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case eventType == EveryType:
		c.on.every = fn
		return
	case eventType == "":
		eventType = wire.DefaultEventType
	}
	if fn == nil {
		delete(c.on.events, eventType)
		return
	}
	c.on.events[eventType] = fn
}

// OnOpen sets a callback for each connection made, the first included, with the
// headers of the response, which must not be changed.
func (c *SSEClient) OnOpen(fn func(header http.Header)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on.open = fn
}

// OnError sets a callback for each connection that ends or can't be made, the
// last included, with the reason: an [EndError] where a hub has told it, a
// [StatusError], [ErrStreamEnd], [ErrCut], [ErrIdle], an error of the network. It
// also gets a [CheckpointError] where a position could not be saved. It is not
// called for an end that was asked for: by Disconnect, Restart, [WithEnd], the end
// of a context, or of a loop.
func (c *SSEClient) OnError(fn func(err error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on.err = fn
}

// OnReconnect sets a callback for each wait before an attempt to connect again:
// attempt counts the attempts since the last healthy connection, this one
// included, err is why the connection or attempt before failed, [ErrRestart] after a Restart.
func (c *SSEClient) OnReconnect(fn func(attempt int, wait time.Duration, err error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on.reconnect = fn
}

// OnComment sets a callback for each comment, such as a hub's heartbeat, without
// the colon and one space behind it. Comments come between the events that they
// stand between. It has to be set before a connection is made to see its comments.
func (c *SSEClient) OnComment(fn func(text string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on.comment = fn
}

// OnGap sets a callback for a hub's word that events are missing. The gap event
// is also an event of the type [GapEvent], for callbacks and loops.
func (c *SSEClient) OnGap(fn func(Gap)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on.gap = fn
}

// What follows is the reading goroutine's: each takes the callback under the mutex
// and calls it outside.

func (c *SSEClient) tellOpen(header http.Header) {
	c.mu.Lock()
	fn := c.on.open
	c.mu.Unlock()
	if fn != nil {
		fn(header)
	}
}

func (c *SSEClient) tellError(err error) {
	if err == nil {
		return // without a look at the mutex: it is asked after each event
	}
	c.mu.Lock()
	fn := c.on.err
	c.mu.Unlock()
	if fn != nil {
		fn(err)
	}
}

func (c *SSEClient) tellReconnect(attempt int, wait time.Duration, err error) {
	c.cfg.logger.Info("client: not connected, trying again", "url", c.shownURL, "attempt", attempt, "error", err, "wait", wait)
	c.mu.Lock()
	fn := c.on.reconnect
	c.mu.Unlock()
	if fn != nil {
		fn(attempt, wait, err)
	}
}

func (c *SSEClient) tellGap(raw *wire.RawEvent) {
	if string(raw.Event) != GapEvent || raw.HasID {
		return
	}
	c.mu.Lock()
	fn := c.on.gap
	c.mu.Unlock()
	if fn == nil {
		return
	}
	if gap, ok := gapOf(raw.Data); ok {
		fn(gap)
	}
}
