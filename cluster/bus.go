package cluster

import "context"

// Bus carries messages between the nodes of a cluster beside the stream: at most once
// each, to whoever listens at that moment, in no order. Its methods are called by any
// number of goroutines.
type Bus interface {
	// Send passes a message to all who listen, the sender too where it does.
	Send(data []byte) error

	// Ask is Send, and calls fn with each answer that comes, one after the other, until
	// fn returns false or ctx ends. It returns an error where the message was not sent.
	Ask(ctx context.Context, data []byte, fn func(answer []byte) bool) error

	// Listen calls fn with each message, one after the other. answer is nil where none
	// is wanted; it may be called later. fn is not called any more once stop has
	// returned.
	Listen(fn func(data []byte, answer func(data []byte) error)) (stop func(), err error)
}
