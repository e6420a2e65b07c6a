package engine_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spatehub/spate/persist"
	"github.com/stretchr/testify/require"
)

var errDisk = errors.New("disk on fire")

// fakeLog is a log that does what its test says: a log in memory with a script in
// front of it. By itself it is the bare contract, in one step, without an index and
// without a word about itself, so that its hub uses nothing else. pipedLog, toldLog,
// diskLog and wholeLog have what logs may have besides.
//
// Hooks are set before a hub has it; methods may be called at any time.
type fakeLog struct {
	persist.Log

	keep    bool          // it outlives the hubs that close it
	discard bool          // what it takes
	delay   time.Duration // from a batch's first step to its being durable

	onRead  func(n int) error                                // before reading n, from 1
	onQuery func(ctx context.Context, q persist.Query) error // before a reading by index

	reads        atomic.Int32
	inside       atomic.Int32 // appends under way
	overlap      atomic.Bool  // there were two at a time
	flying, most atomic.Int32 // batches between their two steps

	mu struct {
		sync.Mutex
		fail error // of the next appends
		take int
		gate chan struct{}
	}
}

func newFakeLog() *fakeLog { return &fakeLog{Log: persist.NewMemory()} }

// nullLog takes everything at once and keeps nothing.
func nullLog() *fakeLog {
	l := newFakeLog()
	l.discard = true
	return l
}

// memory is the log beneath.
func (l *fakeLog) memory() *persist.Memory { return l.Log.(*persist.Memory) }

// set makes appends fail with err, after keeping the first take records; where take
// is negative, those in two steps fail in the first.
func (l *fakeLog) set(err error, take int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.fail, l.mu.take = err, take
}

// hold makes appends wait until the returned function is called.
func (l *fakeLog) hold() (release func()) {
	gate := make(chan struct{})
	l.mu.Lock()
	l.mu.gate = gate
	l.mu.Unlock()
	return func() {
		l.mu.Lock()
		l.mu.gate = nil
		l.mu.Unlock()
		close(gate)
	}
}

// refuseReads makes readings fail while the switch is on.
func (l *fakeLog) refuseReads() *atomic.Bool {
	on := &atomic.Bool{}
	l.onRead = func(int) error {
		if on.Load() {
			return errDisk
		}
		return nil
	}
	return on
}

// ids returns what the log has.
func (l *fakeLog) ids(t *testing.T) (ids []uint64) {
	for after := uint64(0); ; {
		p, err := l.Read(context.Background(), after, persist.Limit{})
		require.NoError(t, err)
		if p.UpTo == after {
			return ids
		}
		for i := range p.Records {
			ids = append(ids, p.Records[i].ID)
		}
		after = p.UpTo
	}
}

func (l *fakeLog) Append(ctx context.Context, recs []persist.Record) error {
	if l.inside.Add(1) != 1 {
		l.overlap.Store(true)
	}
	defer l.inside.Add(-1)
	l.mu.Lock()
	err, take, gate := l.mu.fail, l.mu.take, l.mu.gate
	l.mu.Unlock()
	if gate != nil {
		<-gate
	}
	switch {
	case l.discard:
		return nil
	case err == nil:
		return l.Log.Append(ctx, recs)
	case take <= 0:
		return err
	}
	take = min(take, len(recs))
	if e := l.Log.Append(ctx, recs[:take]); e != nil {
		return e
	}
	return &persist.PartialError{Taken: take, Err: err}
}

func (l *fakeLog) Read(ctx context.Context, after uint64, lim persist.Limit) (persist.Page, error) {
	n := l.reads.Add(1)
	if l.onRead != nil {
		if err := l.onRead(int(n)); err != nil {
			return persist.Page{}, err
		}
	}
	return l.Log.Read(ctx, after, lim)
}

func (l *fakeLog) Close() error {
	if l.keep {
		return nil
	}
	return l.Log.Close()
}

// pipedLog takes batches in two steps.
type pipedLog struct{ *fakeLog }

func (l pipedLog) Begin(recs []persist.Record) (wait func() error, err error) {
	l.mu.Lock()
	early := l.mu.fail != nil && l.mu.take < 0
	if early {
		err = l.mu.fail
	}
	l.mu.Unlock()
	if early {
		return nil, err
	}
	if n := l.flying.Add(1); n > l.most.Load() {
		l.most.Store(n)
	}
	return func() error {
		if l.delay > 0 {
			<-time.After(l.delay)
		}
		defer l.flying.Add(-1)
		return l.Append(context.Background(), recs)
	}, nil
}

// toldLog says whether it waits for a disk.
type toldLog struct {
	*fakeLog
	sync bool
}

func (l toldLog) LogStats() persist.LogStats { return persist.LogStats{Sync: l.sync} }

// diskLog takes batches in two steps and waits for a disk.
type diskLog struct{ pipedLog }

// newDiskLog returns one whose disk takes a millisecond for a batch.
func newDiskLog() diskLog {
	l := newFakeLog()
	l.delay = time.Millisecond
	return diskLog{pipedLog{l}}
}

func (diskLog) LogStats() persist.LogStats { return persist.LogStats{Sync: true} }

// wholeLog has all that a log in memory has.
type wholeLog struct {
	*fakeLog
	high uint64 // it knows that IDs up to here were issued, which it lost

	runs struct {
		sync.Mutex
		fail  error // of BeginRun, and what the log tells of itself
		begun []uint64
	}
}

func newWholeLog() *wholeLog { return &wholeLog{fakeLog: newFakeLog()} }

// keptLog is one that the next hub goes on with.
func keptLog() *wholeLog {
	l := newWholeLog()
	l.keep = true
	return l
}

// setRuns makes the beginning of runs fail.
func (l *wholeLog) setRuns(err error) {
	l.runs.Lock()
	defer l.runs.Unlock()
	l.runs.fail = err
}

func (l *wholeLog) Query(ctx context.Context, q persist.Query, after uint64, lim persist.Limit) (persist.Page, error) {
	if l.onQuery != nil {
		if err := l.onQuery(ctx, q); err != nil {
			return persist.Page{}, err
		}
	}
	return l.memory().Query(ctx, q, after, lim)
}

func (l *wholeLog) BeginRun(first uint64) error {
	l.runs.Lock()
	defer l.runs.Unlock()
	if l.runs.fail != nil {
		return l.runs.fail
	}
	if first <= l.high {
		return errors.New("a run from below what was issued")
	}
	l.runs.begun = append(l.runs.begun, first)
	return l.memory().BeginRun(first)
}

func (l *wholeLog) Issued(ctx context.Context, id uint64) (bool, error) {
	return l.memory().Issued(ctx, id)
}

func (l *wholeLog) HighWater() uint64 { return max(l.high, l.memory().HighWater()) }

func (l *wholeLog) After(ctx context.Context, t time.Time) (uint64, error) {
	return l.memory().After(ctx, t)
}

func (l *wholeLog) LogStats() persist.LogStats {
	st := l.memory().LogStats()
	l.runs.Lock()
	defer l.runs.Unlock()
	st.Err = l.runs.fail
	return st
}
