package engine_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/spatehub/spate/persist"
)

var errDisk = errors.New("disk on fire")

// faultyLog is a log that fails on demand.
type faultyLog struct {
	persist.Log
	mu   sync.Mutex
	fail error // what the next appends return
	take int   // with fail: how many records of the batch are kept all the same
	gate chan struct{}
}

// set makes appends fail with err, after keeping the first take records.
func (l *faultyLog) set(err error, take int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail, l.take = err, take
}

// hold makes appends wait until the returned function is called.
func (l *faultyLog) hold() (release func()) {
	gate := make(chan struct{})
	l.mu.Lock()
	l.gate = gate
	l.mu.Unlock()
	return func() {
		l.mu.Lock()
		l.gate = nil
		l.mu.Unlock()
		close(gate)
	}
}

func (l *faultyLog) Append(ctx context.Context, recs []persist.Record) error {
	l.mu.Lock()
	err, take, gate := l.fail, l.take, l.gate
	l.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if err == nil {
		return l.Log.Append(ctx, recs)
	}
	if take <= 0 {
		return err
	}
	take = min(take, len(recs))
	if e := l.Log.Append(ctx, recs[:take]); e != nil {
		return e
	}
	return &persist.PartialError{Taken: take, Err: err}
}

// faultyPipe is a faultyLog that takes batches in two steps.
type faultyPipe struct {
	faultyLog
}

func (l *faultyPipe) Begin(recs []persist.Record) (wait func() error, err error) {
	l.mu.Lock()
	early := l.fail != nil && l.take < 0
	if early {
		err = l.fail
	}
	l.mu.Unlock()
	if early {
		return nil, err
	}
	return func() error { return l.Append(context.Background(), recs) }, nil
}

// countingLog counts the readings of it, and can refuse them. It has no index.
type countingLog struct {
	faultyLog
	reads     atomic.Int32
	failReads atomic.Bool
}

func (l *countingLog) Read(ctx context.Context, after uint64, lim persist.Limit) (persist.Page, error) {
	l.reads.Add(1)
	if l.failReads.Load() {
		return persist.Page{}, errDisk
	}
	return l.Log.Read(ctx, after, lim)
}
