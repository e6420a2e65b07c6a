package engine

// Sink takes the bytes of one connection: the hub knows no transport beyond it.
//
// The shard that owns the connection makes every call, one at a time, so a Sink
// needs no lock against the hub. Neither method may block: the shard serves
// thousands of other connections. A panic in one ends the process.
type Sink interface {
	// Write offers whole SSE frames in the subscription's form. It takes as many bytes as it can at once
	// and returns their number; it must not keep p, which belongs to the ring.
	// Fewer bytes than len(p) with a nil error means that the sink is full: it
	// then promises to call Subscriber.Writable once it can take bytes again.
	// An error ends the connection: the next call is Close. So does a number that
	// cannot be, with ErrSink.
	Write(p []byte) (n int, err error)

	// Close releases the transport. It is called exactly once, after the last
	// Write, with the reason why the connection ended; test with errors.Is.
	// What Write took is still to reach the peer, a disconnect event above
	// all, unless the reason is ErrStalled: then the peer takes no bytes. One
	// that did not take the disconnect event in time is closed with both
	// ErrStalled and the reason that it was to be told.
	Close(reason error)
}

// Subscriber is the handle of one connection for its transport. Its methods
// may be called from any goroutine, at any time, also after the connection
// ended, when they do nothing.
type Subscriber struct {
	c *client
}

// Writable tells the owning shard that the sink can take bytes again. Spurious
// calls are harmless.
func (s Subscriber) Writable() { s.c.attend(attendWritable) }

// Expire tells the owning shard that the connection's time is over: it ends with
// a disconnect event.
func (s Subscriber) Expire() { s.c.attend(attendExpire) }

// Revoke tells the owning shard that the connection may receive nothing more: it
// ends with a disconnect event, and what waits for it is given up. The sink gets no
// event that is pushed after Revoke has returned.
func (s Subscriber) Revoke() { s.c.attend(attendRevoke) }

// Hangup tells the owning shard that the peer is gone. The shard closes the
// sink with err, or ErrHangup where err is nil.
func (s Subscriber) Hangup(err error) {
	if err != nil && err != ErrHangup {
		s.c.hangupErr.CompareAndSwap(nil, &err)
	}
	s.c.attend(attendHangup)
}
