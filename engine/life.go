package engine

import "sync/atomic"

// phase is where a hub's life has got. It only goes forward; an orderly drain
// passes over phaseExpired.
type phase uint32

const (
	phaseOpen     phase = iota
	phaseRefusing       // no push and no connection begins; those that have begun go on
	phaseDraining       // nothing more gets into the ring: the log and the connections have what is in it
	phaseExpired        // the deadline has passed: close what still waits
	phaseStopped        // the drain is over
)

// life is a hub's life, and who it has to wait for. Shutdown's first caller takes
// it from open to refusing; the goroutine that takes the hub down makes all later
// steps. Anybody may look.
//
// Who begins something counts itself in before it looks at the phase, and who
// refuses sets the phase before it looks at the counts. So whatever begins is
// either refused or waited for.
type life struct {
	_       [64]byte
	pushers atomic.Int64 // pushes under way
	_       [64]byte

	// now is the phase. Its store publishes what was done before the step: to
	// who sees phaseDraining, that the ring is closed; from phaseExpired on, cut.
	now    atomic.Uint32
	online atomic.Int64 // connections; Take counts in, a shard counts out after the pass that ended them

	cut bool // the deadline came before the drain's end; written before, read after a phase from phaseExpired on

	emptied chan struct{} // of capacity 1: a connection has ended since phaseRefusing
	giveUp  chan struct{} // closed after phaseExpired, or phaseStopped, is set: no publisher waits any longer
	stop    chan struct{} // closed once nothing is under way: what runs by itself ends
	closed  chan struct{} // closed when everything has ended
}

func newLife() life {
	return life{
		emptied: make(chan struct{}, 1),
		giveUp:  make(chan struct{}), stop: make(chan struct{}), closed: make(chan struct{}),
	}
}

func (l *life) phase() phase { return phase(l.now.Load()) }

// refuses says whether no push and no connection may begin any more.
func (l *life) refuses() bool { return l.phase() != phaseOpen }

// drains says whether connections are to end once they have everything.
func (l *life) drains() bool { return l.phase() >= phaseDraining }

// expired says whether what still waits is to be ended.
func (l *life) expired() bool { return l.phase() == phaseExpired }

// gaveUp says whether no publisher may wait any longer.
func (l *life) gaveUp() bool { return l.phase() >= phaseExpired }

// cutShort says whether the drain was ended by its deadline.
func (l *life) cutShort() bool { return l.gaveUp() && l.cut }

// enter counts a push in, unless the hub refuses it. Who is let in calls leave.
func (l *life) enter() bool {
	if l.refuses() { // not counted: the drain waits for those that are
		return false
	}
	l.pushers.Add(1)
	if l.refuses() {
		l.leave()
		return false
	}
	return true
}

func (l *life) leave() { l.pushers.Add(-1) }

// join counts a connection in, unless the hub refuses it. For one that is let in,
// its shard calls part.
func (l *life) join() bool {
	l.online.Add(1)
	if l.refuses() {
		l.part()
		return false
	}
	return true
}

// part counts a connection out.
func (l *life) part() {
	l.online.Add(-1)
	if l.refuses() {
		select {
		case l.emptied <- struct{}{}:
		default:
		}
	}
}

// busy says whether a push or a connection is there.
func (l *life) busy() bool { return l.pushers.Load() != 0 || l.online.Load() != 0 }

// refuse is the step from open. It returns whether the caller made it.
func (l *life) refuse() (first bool) {
	return l.now.CompareAndSwap(uint32(phaseOpen), uint32(phaseRefusing))
}

// drain is the step from refusing, once the ring is closed.
func (l *life) drain() { l.now.Store(uint32(phaseDraining)) }

// endDrain is the step from draining, in time or cut short. The caller decides the
// pushes that still wait, and then closes giveUp.
func (l *life) endDrain(cut bool) {
	l.cut = cut
	if cut {
		l.now.Store(uint32(phaseExpired))
	} else {
		l.now.Store(uint32(phaseStopped))
	}
}

// halt is the last step: nothing is under way any more, and all that runs by itself
// is to end.
func (l *life) halt() {
	l.now.Store(uint32(phaseStopped))
	close(l.stop)
}
