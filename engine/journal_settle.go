package engine

import (
	"errors"
	"fmt"

	"github.com/spatehub/spate/persist"
)

// This file is the verdict on a batch of the log: which of its events failed, and who
// hears of it.

// settle marks what failed, passes the run on to the shards, and tells the
// publishers that wait.
func (j *journal) settle(run *journalRun, err error) {
	if err != nil {
		j.fail(run, err)
		if j.hub.follow != nil {
			j.hub.unnumber(run)
		}
	}
	h := j.hub
	var mask uint64
	urgent := false
	waits := j.waits[:0]
	for seq := run.from; ; seq++ {
		e := h.slot(seq)
		mask |= e.mask
		urgent = urgent || e.urgent
		if w := e.wait.Load(); w != nil && e.last {
			waits = append(waits, w)
		}
		if seq == run.to {
			break
		}
	}
	if !h.cfg.immediate { // else the shards have the run already
		h.commits.set(run.from, run.to, h.sampleRun())
	}
	j.doneID.Store(uint64(h.slot(run.to).upTo())) // before the cursor: who sees it may look into the log
	if h.follow != nil {
		h.follow.reach(point{run.to, h.committed()})
	}
	j.done.TryNext(int(run.to-run.from) + 1) // intake has passed the run: it is all there
	j.done.Advance(uint64(run.to))
	// At this point the slots may be gone; the waits are ours.
	if !h.cfg.immediate {
		h.wakeFor(run.from, run.to, mask, urgent)
	}
	for _, w := range waits {
		w.decide(w.err)
	}
	clear(waits)
	j.waits = waits
}

// fail marks what the log did not take, so that no shard delivers it: with an
// event of a push, the push's ephemeral ones, which nobody asked the log for.
func (j *journal) fail(run *journalRun, err error) {
	taken := 0
	if partial := (*persist.PartialError)(nil); errors.As(err, &partial) {
		taken = partial.Taken
	}
	err = fmt.Errorf("%w: %w", ErrLog, err)
	begin, bad := run.from, false // of the push
	for seq := run.from; ; seq++ {
		e := j.hub.slot(seq)
		if !e.ephemeral() {
			if taken > 0 {
				taken--
			} else {
				bad = true
				j.failOne(e, err)
			}
		}
		if e.last {
			for ; bad && begin != seq+1; begin++ {
				if e := j.hub.slot(begin); e.ephemeral() && !j.hub.cfg.immediate {
					j.failOne(e, err)
				}
			}
			begin, bad = seq+1, false
		}
		if seq == run.to {
			return
		}
	}
}

// failOne marks one event. With immediate delivery it is under way already, and
// shards may be looking at it.
func (j *journal) failOne(e *entry, err error) {
	if !j.hub.cfg.immediate {
		e.failed = true
	}
	j.hub.logFailed.Add(1)
	if w := e.wait.Load(); w != nil {
		w.err = err
	}
}

// note keeps the log's health, and says in the log when it changes.
func (j *journal) note(err error) {
	was := j.failure.Load()
	switch {
	case err != nil:
		failure := err // its own variable: else every call would allocate
		j.failure.Store(&failure)
		if was == nil {
			j.hub.cfg.logger.Error("spate: the log does not take events; pushes fail", "err", err)
		}
	case was != nil:
		j.failure.Store(nil)
		j.hub.cfg.logger.Info("spate: the log takes events again")
	}
}
