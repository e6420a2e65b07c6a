package engine

import (
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/persist"
)

// This file keeps IDs from being issued twice. Every start of a hub begins a run
// of IDs: above all that the log knows of, and not below the clock, so that a
// folder that was put back, a log that lost its tail, or no log at all make no
// difference. And within a run IDs are never ahead of the clock by more than they
// were at its start, so that the next run, wherever it begins, is above them.
//
// The clock counts quarters of a microsecond since 1970: four million IDs a second,
// and 2^53, up to which JavaScript counts, in 2041. (A clock that is set back while
// no hub runs, together with a log that was lost, is not to be found out about.)

// idTick is the time for one ID.
const idTick = 250 * time.Nanosecond

// pace bounds how fast IDs are issued. Publishers ask it, shared and seldom
// written.
type pace struct {
	start time.Time // of the run; with the monotonic clock, which does not jump
	first eventID

	// due is the ID up to which IDs were due when somebody last looked at the
	// clock.
	due atomic.Uint64
}

// begin begins the run at the given time, before any ID is issued.
func (p *pace) begin(now time.Time) { p.start = now }

// look brings due up to date, and returns it.
func (p *pace) look(now time.Time) eventID {
	due := p.first - 1 + eventID(max(0, now.Sub(p.start)/idTick))
	for {
		old := p.due.Load()
		if eventID(old) >= due {
			return eventID(old)
		}
		if p.due.CompareAndSwap(old, uint64(due)) {
			return due
		}
	}
}

// await waits until the ID is due. The publisher has claimed it and must publish
// it, so nothing ends the wait; it is as long as the time for a ring full of IDs
// at most.
func (p *pace) await(id eventID) {
	if id > eventID(p.due.Load()) {
		p.wait(id)
	}
}

func (p *pace) wait(id eventID) {
	for {
		due := p.look(time.Now())
		if id <= due {
			return
		}
		time.Sleep(time.Duration(id-due) * idTick)
	}
}

// firstID returns the first ID of a run that begins at the given time.
func firstID(log persist.Log, now time.Time) eventID {
	last := lastID(log)
	if runs, ok := log.(persist.Runs); ok {
		last = max(last, eventID(runs.HighWater()))
	}
	return max(last+1, eventID(now.UnixNano()/int64(idTick)))
}

// lastID returns the last ID that the log has, 0 without one.
func lastID(log persist.Log) eventID {
	if log == nil {
		return 0
	}
	return eventID(log.Last())
}

// beginRun tells the log of the hub's run, if it has not been told. Until it has,
// it is given nothing. A follower's run begins with what it applies first.
func (j *journal) beginRun(first eventID) error {
	if j.runs == nil {
		return nil
	}
	if err := j.runs.BeginRun(uint64(first)); err != nil {
		return err
	}
	j.runs = nil
	return nil
}
