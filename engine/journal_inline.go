package engine

import "sync/atomic"

// Where the log does not wait for a disk, handing an event to another goroutine
// costs more than appending it. So the publisher that finds nobody at it does
// the journal's work itself, for all that is in the ring: its own event, and
// those of publishers who found it at work and wait. What comes meanwhile it
// leaves to the journal's goroutine, so that nobody works for others for long.
//
//	        lead                    work left
//	free ──────────► a publisher ──────────────► the goroutine
//	 ▲                    │                            │
//	 └────────────────────┴────────────────────────────┘
//	   nothing left, and nothing came since it was free

// role says who moves the journal's readers.
type role struct {
	// taken passes the readers, and what hangs on them, from one holder to the
	// next. Whoever publishes looks at it afterwards; whoever gives it back looks
	// at the ring afterwards. So one of the two sees the other.
	taken atomic.Bool
	work  chan struct{} // of capacity 1: the role goes to the goroutine

	run journalRun // the holder's
}

func (r *role) take() bool { return !r.taken.Load() && r.taken.CompareAndSwap(false, true) }

// lead commits what is in the ring, if nobody else does.
func (j *journal) lead() {
	if !j.role.take() {
		return
	}
	defer crash()
	if j.appendOnce() && j.pending() {
		j.role.work <- struct{}{}
		return
	}
	j.giveBack()
}

// crash ends the process when a log has panicked. On a publisher's stack somebody
// may recover, an HTTP server does, and every later push would wait for the role.
func crash() {
	if p := recover(); p != nil {
		go panic(p)
	}
}

// kick has the goroutine commit what is in the ring, if nobody does.
func (j *journal) kick() {
	if j.role.take() {
		j.role.work <- struct{}{}
	}
}

// giveBack frees the role. What came after the last look and before is left to
// the goroutine.
func (j *journal) giveBack() {
	j.role.taken.Store(false)
	if j.pending() {
		j.kick()
	}
}

// pending says whether there is something to commit. It takes no role.
func (j *journal) pending() bool { return j.intake.Available() != j.intake.Cursor() }

// follow is the goroutine. It ends with the hub.
func (j *journal) follow() {
	defer j.hub.work.Done()
	for {
		select {
		case <-j.role.work:
			for j.appendOnce() {
			}
			j.giveBack()
		case <-j.hub.life.stop:
			return
		}
	}
}

// appendOnce commits one batch, if there is one. The caller has the role.
func (j *journal) appendOnce() bool {
	from, to, ok := j.intake.TryNext(journalBatch)
	if !ok {
		return false
	}
	j.begin(&j.role.run, position(from), j.gather(position(from), position(to)))
	j.finish(&j.role.run)
	return true
}
