package engine

// This file hands the writes of a fan-out, and those of heartbeats, to the transport many at a
// time, where that is cheaper than a call for each: what comes of a write is then known at the
// batch's end, and until then the runs stay as they are and their clients are not looked at.

// BatchWriter writes to many sinks by one call; see [WithBatchWriter]. It belongs to one
// shard, which makes every call, one at a time. No method may block.
type BatchWriter interface {
	// Add notes a Write of p to the sink, for Flush to do; p, of one byte or more, stays as it is
	// until then. It returns false, and notes nothing, where the sink is none that it
	// writes to. Between two calls of Flush at most MaxBatchWrites are noted, each to
	// another sink.
	Add(s Sink, p []byte) bool

	// Flush does all that was noted and tells of each by its number, from 0 in the order in which they
	// were added, what Sink.Write would have returned, whose promises hold.
	Flush(done func(i, n int, err error))

	// Close is called once no sink is left.
	Close()
}

// MaxBatchWrites is the most that a BatchWriter gets at a time: some hundred
// microseconds of a processor.
const MaxBatchWrites = 64

// maxBatchBytes bounds their bytes, but for the last.
const maxBatchBytes = sendBytes

// WithBatchWriter writes what is delivered by a BatchWriter for each shard, which open
// makes as the hub starts. Where open fails, that is said in the hub's log, and each write is
// a call by itself, as without this option. What goes out otherwise than by live delivery
// and as heartbeats (history, what waited for a connection) is written by itself in any case.
func WithBatchWriter(open func() (BatchWriter, error)) HubOption {
	return func(c *config) { c.batches = open }
}

// batched are the writes of the fan-out under way that were added and not flushed.
type batched struct {
	writer BatchWriter // nil: each write is a call
	writes []batchedWrite
	bytes  int
	done   func(i, n int, err error) // made once
}

// batchedWrite is a write to a live client: a run, or a comment.
type batchedWrite struct {
	c *client
	j *joined // nil: the comment
	p []byte
}

// openBatches makes the shards' writers.
func (h *Hub) openBatches() {
	if h.cfg.batches == nil {
		return
	}
	for _, s := range h.shards {
		w, err := h.cfg.batches()
		if err != nil {
			h.cfg.logger.Warn("spate: no batches of writes: each is a call by itself", "err", err)
			return
		}
		s.batched = batched{writer: w, writes: make([]batchedWrite, 0, MaxBatchWrites), done: s.wrote}
	}
}

// closeBatches gives the writers back, once no shard runs any more.
func (h *Hub) closeBatches() {
	for _, s := range h.shards {
		if w := s.batched.writer; w != nil {
			w.Close()
		}
	}
}

// writeLive writes a run to a live client, now or with the fan-out's next batch.
func (s *shard) writeLive(c *client, j *joined) {
	if !s.addWrite(c, j, j.bytes()) {
		n, err := s.write(c, j.bytes())
		s.settle(c, j, n, err)
		s.yield()
	}
}

// addWrite adds a write to the batch. It returns false where it is to be a call by itself.
func (s *shard) addWrite(c *client, j *joined, p []byte) bool {
	b := &s.batched
	if b.writer == nil || !b.writer.Add(c.sink, p) {
		return false
	}
	s.charge(writeCost + len(p))
	b.writes = append(b.writes, batchedWrite{c, j, p})
	if b.bytes += len(p); len(b.writes) == MaxBatchWrites || b.bytes >= maxBatchBytes {
		s.flushBatch()
	}
	return true
}

// flushBatch does what was added. At the end of each fan-out and look at idle clients, and
// before a run that was added changes.
func (s *shard) flushBatch() {
	b := &s.batched
	if len(b.writes) == 0 {
		return
	}
	b.writer.Flush(b.done)
	clear(b.writes)
	b.writes, b.bytes = b.writes[:0], 0
	s.yield()
}

// wrote is told of write i of the batch.
func (s *shard) wrote(i, n int, err error) {
	w := s.batched.writes[i]
	n, err = s.checkWrite(w.p, n, err)
	if w.j == nil {
		s.settleBeat(w.c, w.p, n, err)
		return
	}
	s.settle(w.c, w.j, n, err)
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
