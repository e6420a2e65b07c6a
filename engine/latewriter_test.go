package engine

import (
	"bytes"
	"fmt"
	"slices"
)

// LateWriter writes at the end of each batch, and tells what came of it after all of
// them. It panics where the shard breaks a promise: a run that changes before, more
// writes than may be, two to one sink.
type LateWriter struct {
	writes  []lateWrite
	Opened  *int // counts; may be nil
	Batch   int  // writes of the largest batch
	Only    Sink // it writes to; nil: all
	Refused int  // that it does not write to
	Flushed func()

	// How it is no good.
	Silent, Wrong []int // numbers of writes
	Useless       error
}

type lateWrite struct {
	sink Sink
	p    []byte
	as   []byte // it was
	n    int
	err  error
}

func (w *LateWriter) Add(s Sink, p []byte) bool {
	if w.Only != nil && s != w.Only {
		w.Refused++
		return false
	}
	if len(w.writes) == MaxBatchWrites || len(p) == 0 {
		panic(fmt.Sprintf("engine: write of %d bytes as the %dth", len(p), len(w.writes)+1))
	}
	for _, other := range w.writes {
		if other.sink == s {
			panic("engine: two writes to a sink in one batch")
		}
	}
	w.writes = append(w.writes, lateWrite{sink: s, p: p, as: bytes.Clone(p)})
	return true
}

func (w *LateWriter) Flush(done func(i, n int, err error)) error {
	w.Batch = max(w.Batch, len(w.writes))
	if w.Flushed != nil {
		w.Flushed()
	}
	for i := len(w.writes) - 1; i >= 0; i-- { // in any order
		late := &w.writes[i]
		if !bytes.Equal(late.p, late.as) {
			panic("engine: a run changed before it was written")
		}
		late.n, late.err = late.sink.Write(late.p)
	}
	for i, late := range w.writes {
		switch {
		case slices.Contains(w.Silent, i):
		case slices.Contains(w.Wrong, i):
			done(i, len(late.p)+1, nil)
		default:
			done(i, late.n, late.err)
		}
	}
	w.Silent, w.Wrong = nil, nil
	clear(w.writes)
	w.writes = w.writes[:0]
	return w.Useless
}

func (w *LateWriter) Close() {
	if len(w.writes) > 0 {
		panic("engine: closed with writes to be done")
	}
	if w.Opened != nil {
		*w.Opened--
	}
}
