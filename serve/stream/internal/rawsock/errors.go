package rawsock

import "errors"

// ErrReset is handed to [Waker.Hangup] when the connection broke, rather than
// ended: a reset by the peer, or keep-alive probes that nobody answered.
var ErrReset = errors.New("connection reset")
