package client

import (
	"io"
	"time"
)

// idleTimer calls expire when a wait for the server takes too long. Only the
// time between begin and end counts, so that a slow callback is not taken for a
// silent server. A nil idleTimer never expires.
type idleTimer struct {
	limit  time.Duration
	expire func()
	timer  *time.Timer // nil before the first begin
}

func newIdleTimer(limit time.Duration, expire func()) *idleTimer {
	if limit <= 0 {
		return nil
	}
	return &idleTimer{limit: limit, expire: expire}
}

func (t *idleTimer) begin() {
	switch {
	case t == nil:
	case t.timer == nil:
		t.timer = time.AfterFunc(t.limit, t.expire)
	default:
		t.timer.Reset(t.limit)
	}
}

func (t *idleTimer) end() {
	if t != nil {
		t.timer.Stop()
	}
}

// idleReader is a body whose every Read is timed.
type idleReader struct {
	io.ReadCloser
	timer *idleTimer
}

func (r *idleReader) Read(p []byte) (int, error) {
	r.timer.begin()
	defer r.timer.end()
	return r.ReadCloser.Read(p)
}
