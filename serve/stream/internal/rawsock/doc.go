// Package rawsock takes the descriptor of an accepted connection away from
// package net, so that an idle connection costs a few dozen bytes: no goroutine,
// no net.Conn, no entry of its own in the runtime's poller.
//
// A [Conn] writes with one non-blocking send per call. One epoll instance
// watches all of them for hang-up and, once a send did not take everything, for
// room; what happens is told to each connection's [Waker]. The instance itself
// waits in Go's network poller and so holds no thread. It is opened with the
// first connection and closed with the last.
//
// The rejected simpler design keeps the net.Conn and writes through
// syscall.RawConn: that is 1.9 KiB per connection instead of 0.4, and a third
// more processor time per write, for locks that a single writer does not need.
//
// Input is not read before the end, unless it is asked for: a subscriber has
// nothing to say after its request, but the protocol under it may. A peer that closes its sending side has hung up, though it may still
// read: HTTP/1.1 clients have no reason to, and nothing else would tell that one is
// gone. An orderly end reads and drops what came, so that closing over it does not
// reset the peer.
//
// Only Linux has it; elsewhere [Take] fails with [errors.ErrUnsupported].
package rawsock

// Waker is told what happens to a connection. Its methods are called from the
// poller's goroutine or from [Conn.Watch], must not block, and may be called
// late or once too often, even after [Conn.Close].
type Waker interface {
	// Writable says that a send may take bytes again.
	Writable()

	// Hangup says that the peer is gone: io.EOF after an orderly end of its
	// side, [ErrReset] after anything else.
	Hangup(err error)
}

// Reader is a [Waker] that is told of input too, before a Hangup that comes with
// it; see [TakeReading].
type Reader interface {
	Waker

	// Readable says that there is input which was not there before.
	Readable()
}
