package engine

import (
	"errors"
	"fmt"
)

// This file hands the writes of a fan-out, and those of heartbeats, to the transport many at a
// time, where that is cheaper than a call for each: what comes of a write is then known at Flush,
// and until then the runs stay as they are and no client of theirs ends or changes its state.

// BatchWriter writes to many sinks by one call; see [WithBatchWriter]. It belongs to one
// shard, which makes every call, one at a time. No method may block, and a panic in one ends the
// process.
type BatchWriter interface {
	// Add notes a Write of p to the sink, for Flush to do; p, of one byte or more, stays as it is
	// until then. It returns false, and notes nothing, where the sink is none that it
	// writes to. Between two calls of Flush at most MaxBatchWrites are noted, each to
	// another sink.
	Add(s Sink, p []byte) bool

	// Flush does all that was noted and tells of each, once, by its number, from 0 in the order in which
	// they were added, what Sink.Write would have returned, whose promises hold. The connection of
	// one that is not told ends with ErrSink. An error says that the writer is of no
	// use any more, and why: this was the last batch, of which all is told none the less.
	Flush(done func(i, n int, err error)) error

	// Close is called once, after the last Flush.
	Close()
}

// MaxBatchWrites is the most that a BatchWriter gets at a time: some hundred
// microseconds of a processor, with events of some hundred bytes.
const MaxBatchWrites = 64

// WithBatchWriter writes what is delivered by a BatchWriter for each shard, which open
// makes as the hub starts. Where one cannot be made, that is said in the hub's log, and each write is
// a call by itself, as without this option. What goes out otherwise than by live delivery
// and as heartbeats (history, what waited for a connection) is written by itself in any case.
//
// A connection whose rights are taken back while its write waits in the batch still gets it: the
// event was pushed before.
func WithBatchWriter(open func() (BatchWriter, error)) HubOption {
	return func(c *config) { c.openWriter = open }
}

// outgoing are the writes of the fan-out, or look at idle clients, under way that were
// added and not flushed.
//
// Invariant: while there are any, none of their clients is closed, struck off the books or other
// than live, and the shard's position stays.
type outgoing struct {
	writer BatchWriter // nil: each write is a call
	writes []outgoingWrite
	end    int // what the shard has spent by then; at the latest they go
	told   func(i, n int, err error)
}

// outgoingWrite is a write to a live client: a run, or a comment.
type outgoingWrite struct {
	c    *client
	j    *joined // nil: the comment
	p    []byte
	told bool
}

var errNoWriter = errors.New("open gave none")

// openWriters makes the shards' writers: one for each, or none.
func (h *Hub) openWriters() {
	if h.cfg.openWriter == nil {
		return
	}
	for _, s := range h.shards {
		w, err := h.cfg.openWriter()
		if err == nil && w == nil {
			err = errNoWriter
		}
		if err != nil {
			h.cfg.logger.Warn("spate: no writer of batches: each write is a call by itself", "err", err)
			h.closeWriters()
			return
		}
		s.out = outgoing{writer: w, writes: make([]outgoingWrite, 0, MaxBatchWrites), told: s.wrote}
	}
}

// closeWriters gives the writers back. No shard runs.
func (h *Hub) closeWriters() {
	for _, s := range h.shards {
		if w := s.out.writer; w != nil {
			s.out = outgoing{}
			w.Close()
		}
	}
}

// writeLive writes a run to a live client, now or with the batch.
func (s *shard) writeLive(c *client, j *joined) {
	if s.addWrite(c, j, j.bytes()) {
		return
	}
	n, err := s.write(c, j.bytes())
	s.settle(c, j, n, err)
	if len(s.out.writes) > 0 && s.reached(s.out.end) {
		s.flushWrites() // others are in the way of those that were added
	}
	s.yield()
}

// addWrite adds a write to the batch. It returns false where it is to be a call by itself.
func (s *shard) addWrite(c *client, j *joined, p []byte) bool {
	o := &s.out
	if o.writer == nil || !o.writer.Add(c.sink, p) {
		return false
	}
	if len(o.writes) == 0 {
		o.end = s.until(passBudget)
	}
	s.charge(writeCost + len(p))
	o.writes = append(o.writes, outgoingWrite{c: c, j: j, p: p})
	if len(o.writes) == MaxBatchWrites || s.reached(o.end) {
		s.flushWrites()
	}
	return true
}

// flushWrites does what was added. At the end of each fan-out and look at idle clients, and
// before a run that was added changes.
func (s *shard) flushWrites() {
	o := &s.out
	if len(o.writes) == 0 {
		return
	}
	useless := o.writer.Flush(o.told)
	for i := range o.writes {
		if !o.writes[i].told {
			s.wrote(i, 0, fmt.Errorf("%w: nothing is told of a write", ErrSink))
		}
	}
	clear(o.writes)
	o.writes = o.writes[:0]
	if useless != nil {
		s.hub.cfg.logger.Warn("spate: a writer of batches is given up: each write is a call by itself", "shard", s.id, "err", useless)
		o.writer.Close()
		o.writer = nil
	}
	s.yield()
}

// wrote is told of write i of the batch.
func (s *shard) wrote(i, n int, err error) {
	w := &s.out.writes[i]
	if w.told {
		panic(fmt.Sprintf("spate: a BatchWriter told twice of write %d", i))
	}
	w.told = true
	n, err = s.checkWrite(w.p, n, err)
	if w.j == nil {
		s.settleBeat(w.c, w.p, n, err)
		return
	}
	s.settle(w.c, w.j, n, err)
}

// noneOutgoing is what has to be so before a client ends, or the shard moves.
func (s *shard) noneOutgoing() {
	if checked && len(s.out.writes) > 0 {
		panic("engine: writes of the batch are not flushed")
	}
}

// settle counts what a live client took of a run.
func (s *shard) settle(c *client, j *joined, n int, err error) {
	if n != len(j.bytes()) || err != nil {
		s.stop(c, j, n, err)
		return
	}
	s.n[nPushed] += uint64(j.len())
	s.n[nDelivered] += uint64(j.len())
	c.wroteTick = s.tick
	c.placed = c.placed || j.ids
}
