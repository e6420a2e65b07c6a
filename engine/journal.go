package engine

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/ringbuf"
)

const (
	// journalBatch and journalBytes bound one batch of the log.
	journalBatch = 1024
	journalBytes = 4 << 20
	indexCost    = 64 // what one user of an event's audience counts for
	// journalDepth is how many batches may be on their way to the disk while
	// the next one is put together.
	journalDepth = 4
)

// journal brings events into the log: one goroutine drains whatever waits in
// the ring into one batch, a second one sees each batch made durable, in
// order, and lets the shards have it. While the disk works on one batch the
// next one collects: the busier the hub, the larger the batches.
//
// There is one reader for each of the two: intake follows the publishers, done
// follows intake, and the shards are gated by done (or, with immediate
// delivery, by nobody but the publishers).
type journal struct {
	hub    *Hub
	log    persist.Log
	pipe   persist.Pipeliner // nil: Append in the second goroutine
	runs   persist.Runs      // nil: the log knows of the run, or keeps none; whoever begins batches
	intake *ringbuf.Reader[entry]
	done   *ringbuf.Reader[entry]
	ready  chan *journalRun
	free   chan *journalRun
	waits  []*commitWait // of the run being settled

	// flying counts the batches on their way. The first goroutine adds; the second
	// subtracts, and tells settled, which has room for one token, so that none of
	// a last batch is overlooked.
	flying  atomic.Int32
	settled chan struct{}

	// doneID is the ID up to which everything is in the log, or was refused by
	// it. Written by whoever settles batches.
	doneID atomic.Uint64

	// took is the nanoseconds from the beginning of the latest batch to its
	// verdict; from the second goroutine to the first.
	took atomic.Int64

	// inline: the log does not wait for a disk. See journal_inline.go: publishers
	// and one goroutine take the place of the two.
	inline bool
	role   role

	// failure is the error of the latest batch, nil when it went well. Written
	// by whoever settles batches, read by Healthy.
	failure atomic.Pointer[error]
}

// journalRun is one batch on its way.
type journalRun struct {
	from, to position
	begun    time.Time
	recs     []persist.Record
	wait     func() error
	err      error
}

func newJournal(h *Hub, log persist.Log) *journal {
	j := &journal{hub: h, log: log, settled: make(chan struct{}, 1), role: role{work: make(chan struct{}, 1)},
		ready: make(chan *journalRun, journalDepth), free: make(chan *journalRun, journalDepth+2)}
	j.pipe, _ = log.(persist.Pipeliner)
	j.runs, _ = log.(persist.Runs)
	if st, ok := log.(persist.Stats); ok {
		j.inline = !st.LogStats().Sync
	}
	j.doneID.Store(uint64(h.origin.id))
	j.intake = h.ring.NewReader()
	j.done = h.ring.NewReader(j.intake)
	for range cap(j.free) {
		j.free <- &journalRun{}
	}
	return j
}

// start starts the journal's goroutines.
func (j *journal) start() {
	if j.inline {
		j.hub.work.Add(1)
		go j.follow()
		return
	}
	j.hub.work.Add(2)
	go j.collect()
	go j.commit()
}

// collect is the first goroutine. It ends when the ring is closed and drained.
func (j *journal) collect() {
	defer j.hub.work.Done()
	defer close(j.ready)
	for {
		from, to, err := j.intake.Next(context.Background(), journalBatch)
		if err != nil {
			return
		}
		j.awaitSettled(int(to - from + 1))
		_, to, _ = j.intake.TryNext(journalBatch) // more has come meanwhile
		run := <-j.free
		j.begin(run, position(from), j.gather(position(from), position(to)))
		j.flying.Add(1)
		j.ready <- run
	}
}

// begin makes a batch of from..to, or of a bit less or more, and gives it to the
// log.
func (j *journal) begin(run *journalRun, from, to position) {
	to = j.boundary(from, to)
	run.from, run.to, run.begun, run.err, run.wait = from, to, time.Now(), nil, nil
	j.fill(run)
	if len(run.recs) > 0 {
		first := j.hub.origin.id + 1
		if j.hub.follow != nil {
			first = eventID(j.hub.follow.from.Load()) + 1
		}
		if run.err = j.beginRun(first); run.err == nil && j.pipe != nil {
			run.wait, run.err = j.pipe.Begin(run.recs)
		}
	}
	j.intake.Advance(uint64(to))
}

// commit is the second goroutine.
func (j *journal) commit() {
	defer j.hub.work.Done()
	for run := range j.ready {
		j.finish(run)
		j.took.Store(int64(time.Since(run.begun)))
		j.free <- run
		j.flying.Add(-1)
		select {
		case j.settled <- struct{}{}:
		default: // it is told already
		}
	}
}

// finish waits for one batch and settles it.
func (j *journal) finish(run *journalRun) {
	err := run.err
	if len(run.recs) > 0 && err == nil {
		if run.wait != nil {
			err = run.wait()
		} else if j.pipe == nil {
			err = j.log.Append(j.hub.ctx, run.recs)
		}
	}
	if len(run.recs) > 0 {
		j.note(err)
	}
	j.settle(run, err)
	clear(run.recs)
	run.wait = nil
}
