package engine

import (
	"runtime"
	"time"

	"github.com/spatehub/spate/persist"
)

// This file decides which events make one batch of the log.

const (
	// overlapBatch is how many events are worth a batch of their own while the
	// disk works on another one: to build it takes about as long as a sync. A
	// smaller one waits. The disk would not begin with it before it is done with
	// the other, and until then more come; so the publishers of a small crowd
	// share one sync, rather than two halves of them taking turns.
	overlapBatch = 128
	// overlapCrowd is how many publishers need longer than a sync to be woken and
	// push again. For them the next batch is built meanwhile.
	overlapCrowd = 256
)

// awaitSettled waits until no batch is on its way to the disk, if n events and
// the publishers under way are too few to build another one beside it.
func (j *journal) awaitSettled(n int) {
	if n >= overlapBatch || j.hub.life.pushers.Load() > overlapCrowd {
		return
	}
	for j.flying.Load() != 0 {
		<-j.settled
	}
}

// Bounds of gather.
const (
	gatherYields = 3
	gatherShare  = 8 // of the time that the latest batch took
	maxGather    = 50 * time.Microsecond
	maxYields    = 256 // for clocks that stand still
)

// gather lets publishers that are under way join the batch: those that the last
// batch woke are about to push again, and each batch costs a sync. Without a
// disk it lets others go first a few times; with one, it gives them a share of
// the time that they would otherwise wait for the next batch.
func (j *journal) gather(from, to position) position {
	var deadline time.Time
	for i := 0; ; i++ {
		n := int64(to - from + 1)
		if n >= j.hub.life.pushers.Load() || n >= journalBatch {
			return to
		}
		switch {
		case i < gatherYields:
		case j.inline:
			return to
		case i == gatherYields:
			deadline = time.Now().Add(min(maxGather, time.Duration(j.took.Load())/gatherShare))
		case i == maxYields || !time.Now().Before(deadline):
			return to
		}
		runtime.Gosched()
		_, to = j.next(from, journalBatch)
	}
}

// boundary moves to back to the end of a push, so that a batch, which fails or
// lives as a whole, never splits one; and forward where it began with a push
// larger than the batch. The rest of that push is published in one go with its
// first event, so the wait is for the publisher's loop only.
func (j *journal) boundary(from, to position) position {
	size := 0
	last := from - 1
	for seq := from; ; seq++ {
		e := j.hub.slot(seq)
		size += len(e.frame()) + indexCost*len(e.audience())
		if e.last {
			last = seq
			if size > journalBytes {
				return last
			}
		}
		if seq != to {
			continue
		}
		if last != from-1 {
			return last
		}
		for to == seq {
			_, to = j.next(from, int(seq-from)+2)
		}
	}
}

// next looks for more than the journal has seen of a push under way.
func (j *journal) next(from position, n int) (position, position) {
	if _, to, ok := j.intake.TryNext(n); ok {
		return from, position(to)
	}
	return from, from
}

// fill makes the run's records. They alias the ring's slots, which the journal
// holds until the run is done.
func (j *journal) fill(run *journalRun) {
	run.recs = run.recs[:0]
	now := run.begun.UnixMilli()
	for seq := run.from; ; seq++ {
		if e := j.hub.slot(seq); !e.ephemeral() {
			run.recs = append(run.recs, persist.Record{
				ID: uint64(e.id), Users: e.audience(), Topic: e.topic, Key: e.key, Time: now, Frame: e.frame(),
			})
		}
		if seq == run.to {
			return
		}
	}
}
