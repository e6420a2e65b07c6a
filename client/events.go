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
// Connections that are lost and made again don't show (OnDisconnect and
// OnConnect tell them): there is one error at most, it comes last, and it says
// why the client has ended. There is none where that was asked for, by
// Disconnect, "close" or 204. Other reasons are those of Connect, and the end of
// ctx, which gives its cause. Leaving the loop ends the client.
//
// Callbacks run too, each before the loop gets the event. The iterator can be
// used once.
func (c *SSEClient) Events(ctx context.Context) iter.Seq2[*wire.Event, error] {
	return func(yield func(*wire.Event, error) bool) {
		left, err := c.iterate(ctx, yield)
		if err != nil && !left {
			yield(nil, err)
		}
	}
}

// iterate runs the client until it ends; left means that the loop was left.
func (c *SSEClient) iterate(ctx context.Context, yield func(*wire.Event, error) bool) (left bool, err error) {
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
	err = c.run(ctx, s, func(e *wire.Event) bool {
		left = !yield(e, nil)
		return !left
	})
	return left, err
}
