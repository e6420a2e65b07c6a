package engine

import "time"

// This file lets events wait for connections that are patient, beside others to which
// they go at once. A shard offers each run of events to its prompt clients when it comes
// to it, and to the patient ones later, together with what came meanwhile. Until then a
// patient client that is up to date is at a position behind the shard's, the same for all
// of them; so it needs no state of its own for this.
//
// A patient client that is not up to date is like any other one: what waits for it is
// counted from the shard's position. One that gets up to date while others wait is
// prompt until they have got what they wait for. And whatever else befalls a client that
// waits (its peer hangs up, its rights end, its sink is full) first makes it one that
// lags: see setBack.

// WithPatience has connections that are patient ([Subscription.Patient]) get an event up
// to d later than others, at most a second, together with those that come meanwhile: in
// one write. 0, the default, is not at all: then nobody is patient. Beside WithLinger, which
// holds for all connections, they wait for both.
//
// For an event to users, and one that is urgent (see WithLinger) or was pushed together with
// one that is, nobody is patient: it goes at once, and what waits in its receivers' shards
// goes before it, to all that wait there. So do all events while the hub drains, or has little
// room for history. It has nothing to do with the patience of Drain and Disconnect.
func WithPatience(d time.Duration) HubOption { return func(c *config) { c.patience = d } }

// maxPatient bounds the events that wait for patient clients; four times it, and a quarter of
// the window, bound the positions, and one write their bytes.
const maxPatient = 256

// patience is what a shard's patient clients wait for: the events after at up to the
// shard's position. None of them is private.
//
// Invariant: while waits, at+1 is in the window, and every client in statePatient has got
// all up to at. Otherwise each has got all that the shard has delivered.
type patience struct {
	waits  bool
	due    bool // it is to go when the run under way has gone to the others
	at     position
	to     position // the end of the run that is offered to them
	events int      // that wait
	bytes  int
	hasty  []*client // patient ones that got up to date meanwhile
	timer  *time.Timer
}

// patientOnes are the states of those for which events wait.
const patientOnes states = 1 << statePatient

// newPatience returns what a shard of the hub needs. tired is called when what waits has
// waited for long enough, by any goroutine.
func newPatience(h *Hub, tired func()) patience {
	if h.cfg.patience == 0 {
		return patience{}
	}
	t := time.AfterFunc(time.Hour, tired)
	t.Stop()
	return patience{timer: t}
}

// end stops the timer, with the hub.
func (p *patience) end() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// tire has what patient clients wait for go, by any goroutine.
func (s *shard) tire() {
	s.tired.Store(true)
	s.wake()
}

// live says whether the client gets events as they come, or patiently.
func (c *client) live() bool { return c.state == stateLive || c.state == statePatient }

// awaitsRun says whether something may wait for a live client: then it waits for all that
// are patient.
func (s *shard) awaitsRun(c *client) bool { return c.state == statePatient && s.patience.waits }

// standing is the position up to which a live client, or one that is new, has everything.
func (s *shard) standing(c *client) position {
	if s.awaitsRun(c) {
		return s.patience.at
	}
	return s.cursor()
}

// holdBack decides whether the run from..to goes to all clients at once or passes over the
// patient ones, for which it then waits: until the others have it, where it waits for nobody or
// there is no room for more. An event to users may be for clients of both kinds: the patient
// ones get what it must not overtake before it.
func (s *shard) holdBack(from, to position, r runCut) (passes states) {
	p := &s.patience
	if s.books.patient == 0 && !p.waits {
		return 0
	}
	if r.private {
		s.letGo()
		return 0
	}
	room := s.mayWait(from, to, r)
	if !p.waits {
		if !r.some || r.urgent || !room {
			return 0
		}
		p.waits, p.at = true, from-1
		s.tired.Store(false)
		p.timer.Reset(s.hub.cfg.patience)
	}
	p.events += r.n
	p.bytes += r.size
	p.due = r.urgent || !room
	return patientOnes
}

// mayWait says whether there is room for the run from..to among what waits.
func (s *shard) mayWait(from, to position, r runCut) bool {
	p, cfg := &s.patience, s.hub.cfg
	at := from - 1
	if p.waits {
		at = p.at
	}
	return int(to-at) <= min(cfg.window/4, 4*maxPatient) && p.events+r.n <= maxPatient &&
		p.bytes+r.size <= min(cfg.queueBytes, sendBytes) && !s.hurries()
}

// hurries says whether the hub has no time, or no room, for patience.
func (s *shard) hurries() bool {
	return s.hub.life.drains() || s.hub.frames.held.Load() > s.hub.cfg.ringBytes
}

// letGo offers to the patient clients what waits for them. Not to be called while the
// marks of an event go on.
func (s *shard) letGo() {
	p := &s.patience
	if !p.waits {
		return
	}
	for p.at != s.high.pos && s.books.patient > 0 {
		from := p.at + 1
		to, r := s.cut(from, s.high.pos)
		p.to = to
		s.fanOut(from, to, r, ^patientOnes)
		s.charge(lookCost * int(to-p.at))
		p.at = to
	}
	p.timer.Stop()
	p.waits, p.due, p.events, p.bytes = false, false, 0, 0
	for i, c := range p.hasty {
		p.hasty[i], c.hasty = nil, false
		if c.state == stateLive {
			c.state = statePatient
		}
	}
	s.charge(lookCost * len(p.hasty))
	if p.hasty = p.hasty[:0]; cap(p.hasty) > maxBatch {
		p.hasty = nil
	}
}

// letGoNow is letGo between two batches: those that could not be written to end.
func (s *shard) letGoNow() {
	if s.patience.waits {
		s.letGo()
		s.closeDoomed()
	}
}

// endPatience is the pass's look at whether what waits is to go.
func (s *shard) endPatience() {
	if !s.patience.waits || !s.tired.Load() && !s.hurries() {
		return
	}
	s.letGoNow()
	s.advance(s.cursor()) // the window may have been wider for it
}

// setBack makes a live client one that lags, where it is. What waits for it while it is
// patient is counted as pushed to it, as that of others has been.
func (s *shard) setBack(c *client) {
	c.pos = s.standing(c)
	s.startLag(c, stateLagging)
	s.queueAfter(c, c.pos)
	s.troubled.lags(c.pos)
}

// queueAfter counts what has been delivered to others after a position as pushed to a
// client, and waiting.
func (s *shard) queueAfter(c *client, at position) {
	if at == s.high.pos {
		return
	}
	s.eachWaiting(c, at+1, s.high.pos, func(e *entry) {
		s.n[nPushed]++
		c.lag.queue.add(1, e.weight(c.form))
	})
}

// bringUp gives a patient client what it waits for, before it is told its end, unless it
// may have nothing any more: it alone, however much the pass has spent, as what waits is
// bounded. Not to be called within a sweep.
func (s *shard) bringUp(c *client) {
	if !s.awaitsRun(c) || c.barred() {
		return
	}
	s.setBack(c)
	for from := c.pos - 1; c.state == stateLagging && !c.full() && !c.doomed && c.pos != from; {
		from = c.pos
		s.proceed(c)
	}
}

// revive makes a client live that has got everything up to the shard's position.
func (s *shard) revive(c *client) {
	p := &s.patience
	switch {
	case !c.patient:
		c.state = stateLive
	case !p.waits:
		c.state = statePatient
	default:
		c.state = stateLive
		if !c.hasty {
			c.hasty = true
			p.hasty = append(p.hasty, c)
		}
	}
}
