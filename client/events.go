package client

import (
	"context"
	"iter"

	"github.com/spatehub/spate/wire"
)

// Events connects as [SSEClient.Connect] does, and iterates over the events of
// every type in the caller's goroutine:
//
//	for e, err := range c.Events(ctx) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(e.ID, e.Data)
//	}
//
// Connections that are lost and made again don't show (OnError, OnReconnect and
// OnOpen tell them): there is one error at most, it comes last, and it says why
// the client has ended. There is none where that was asked for, as Err has it.
// Other reasons are those of Connect, and the end of ctx, which gives its cause.
// Leaving the loop ends the client.
//
// Callbacks run too, each before the loop gets the event. The iterator can be
// used once.
func (c *SSEClient) Events(ctx context.Context) iter.Seq2[*wire.Event, error] {
	return func(yield func(*wire.Event, error) bool) {
		left, err := c.iterate(ctx, func(s *stream) bool { return yield(s.made(), nil) })
		if err != nil && !left {
			yield(nil, err)
		}
	}
}

// RawEvents is Events without copies, for streams whose events are many: the
// event and its slices are valid until the loop asks for the next one, and must
// not be changed. Nothing is allocated for an event, unless a callback or [WithEnd]
// looks at it. Bytes are as they came, invalid UTF-8 included, and an empty type
// stands for [wire.DefaultEventType].
func (c *SSEClient) RawEvents(ctx context.Context) iter.Seq2[*wire.RawEvent, error] {
	return func(yield func(*wire.RawEvent, error) bool) {
		left, err := c.iterate(ctx, func(s *stream) bool { return yield(&s.raw, nil) })
		if err != nil && !left {
			yield(nil, err)
		}
	}
}

// iterate runs the client until it ends; left means that the loop was left.
func (c *SSEClient) iterate(ctx context.Context, deliver func(*stream) bool) (left bool, err error) {
	// One context that ends with either, and keeps the cause of the caller's.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(c.ctx, cancel)
	defer stop()

	s, err := c.start(ctx)
	if err != nil {
		return false, err
	}
	// Also when the loop's body panics or ends its goroutine.
	defer func() { c.end(err) }()
	err = c.run(ctx, s, func(s *stream) bool {
		left = !deliver(s)
		return !left
	})
	return left, err
}
