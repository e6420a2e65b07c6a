package engine

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/spatehub/spate/wire"
)

// This file is what can happen in the model's world. An action returns false where
// it cannot be done now.

// publish pushes n events, if the ring has room.
func (w *modelWorld) publish(n int) bool {
	next, logged := w.last()+1, 0
	if w.follows {
		return w.apply(n)
	}
	for p := next; p < next+position(n); p++ {
		if modelKind(p) != "fleeting" {
			logged++
		}
	}
	first, number, ok := w.h.ring.TryClaimNumbered(n, logged)
	if !ok {
		return false
	}
	ids := numbering{prev: eventID(number) - 1}
	for p := position(first); p < position(first)+position(n); p++ {
		at := ids.prev + 1
		if modelKind(p) == "fleeting" {
			at = ids.prev
		}
		if !w.fill(p, at, &ids) {
			return false
		}
	}
	w.h.ring.Publish(first, n)
	return true
}

// fill puts the event of a position into its slot; at is its ID, or of an
// ephemeral one that of those before it.
func (w *modelWorld) fill(seq position, at eventID, ids *numbering) bool {
	kind := modelKind(seq)
	e := &wire.Event{Data: strconv.Itoa(modelStart + int(seq))}
	m := modelEvent{mine: true, at: point{seq, at}}
	var uids []string
	switch kind {
	case "me":
		uids = []string{"me"}
	case "both":
		uids = []string{"me", "you"}
	case "other":
		uids, m.mine = []string{"you"}, false
	case "topic":
		e.Topic = "t"
	case "othertopic":
		e.Topic, m.mine = "u", false
	case "fleeting":
		e.Ephemeral, m.ephemeral = true, true
	}
	if w.conflate && seq%3 != 0 {
		e.Key = "k" + strconv.Itoa(int(seq%2))
		m.key = fmt.Sprint(e.Topic, "/", e.Key, e.Ephemeral)
	}
	w.events[seq] = m
	var load parcel
	events := []*wire.Event{e}
	bufs, err := w.h.pack(&load, nil, uids, events)
	if err != nil {
		w.fail("pack: %v", err)
		return false
	}
	w.h.frames.held.Add(load.held)
	w.h.fillSlots(seq, ids, &load, bufs, events, nil)
	return true
}

// apply is publish with IDs that come from elsewhere: one batch after the other is
// kept, and one that was not comes again.
func (w *modelWorld) apply(n int) bool {
	if w.log != nil && position(w.h.journal.done.Cursor()) != w.last() {
		return false
	}
	first, ok := w.h.ring.TryClaim(n)
	if !ok {
		return false
	}
	for p := position(first); p < position(first)+position(n); p++ {
		ids := numbering{prev: w.given, given: []eventID{0}}
		if modelKind(p) != "fleeting" {
			w.given += 1 + eventID(p)%3
			ids.given[0] = w.given
		}
		if !w.fill(p, w.given, &ids) {
			return false
		}
	}
	if w.log == nil {
		w.h.follow.reach(point{position(first) + position(n) - 1, w.given})
	}
	w.h.ring.Publish(first, n)
	return true
}

// append puts what is published into the log, as the journal's first step.
func (w *modelWorld) append(fails bool) bool {
	j := w.h.journal
	if j == nil || w.run != nil {
		return false
	}
	from, to, ok := j.intake.TryNext(16)
	if !ok {
		return false
	}
	w.run, w.runErr = &journalRun{from: position(from), to: position(to)}, nil
	j.fill(w.run)
	if fails && w.immediate {
		w.run = nil
		return false // connections may have it all the same
	}
	j.intake.Advance(to)
	if fails {
		w.runErr = errModelLog
		for seq := w.run.from; seq <= w.run.to; seq++ {
			if e := w.events[seq]; !e.ephemeral {
				e.failed = true
				w.events[seq] = e
			}
		}
	} else {
		w.log.add(w.run.recs)
	}
	return true
}

// settle is the journal's second step.
func (w *modelWorld) settle() bool {
	if w.run == nil {
		return false
	}
	w.h.journal.settle(w.run, w.runErr)
	w.run = nil
	if w.runErr != nil && w.follows {
		w.given = w.h.committed()
	}
	return true
}

func (w *modelWorld) pass() {
	w.s.pass()
	if err := w.s.audit(); err != nil {
		w.fail("audit: %v", err)
	}
}

// flow takes what is published all the way to the client's sink.
func (w *modelWorld) flow() {
	w.settle()
	w.append(false)
	w.settle()
	w.pass()
}

// readPage is the reader's work; what happens between its looks at the log is
// given.
func (w *modelWorld) readPage(between func()) bool {
	c := w.h.catchup
	if w.read != nil || c.mu.lanes[cheap].queue.size == 0 {
		return false
	}
	w.read = c.mu.lanes[cheap].queue.pop()
	c.mu.lanes[cheap].open++
	if w.log != nil {
		w.log.between = between
	}
	w.read.found = c.segment(w.read)
	w.read.result = &w.read.found
	if w.log != nil {
		w.log.between = nil
	}
	return true
}

func (w *modelWorld) answer() bool {
	if w.read == nil {
		return false
	}
	if !w.read.c.attend(attendPage) {
		w.h.catchup.answered(w.read.c)
	}
	w.read = nil
	return true
}

// allow gives the sink room for so many bytes more.
func (w *modelWorld) allow(n int) bool {
	if w.seat != nil || w.sink.room > 8*modelFrame {
		return false
	}
	if w.form == FormChunked {
		n += n / modelFrame * len("15\r\n\r\n")
	}
	w.sink.room += n
	Subscriber{w.client}.Writable()
	return true
}

// retain lets retention take the older half of the log.
func (w *modelWorld) retain() bool {
	if w.log == nil || len(w.log.recs) < 2 {
		return false
	}
	n := len(w.log.recs) / 2
	w.log.floor = w.log.recs[n-1].ID
	w.log.recs = slices.Clone(w.log.recs[n:])
	return true
}

// hangUp ends the connection, and takeSeat comes back with the last ID.
func (w *modelWorld) hangUp() {
	if w.seat == nil {
		Subscriber{w.client}.Hangup(nil)
	}
	w.sink.gone = true
}

func (w *modelWorld) takeSeat() {
	w.toldTo, w.lastSeq = 0, 0
	for seq, e := range w.events { // what was told as lost may be there all the same
		if !e.ephemeral && !e.failed && e.at.id == w.from {
			w.lastSeq = seq
		}
		if e.fate == 'g' && e.at.id > w.from {
			e.fate = 0
			w.events[seq] = e
		}
	}
	w.connect(true)
}

func (w *modelWorld) tick() {
	w.s.ticks.Add(1)
	w.s.tired.Store(true)
	w.pass()
}

// drain lets everything come to its end: the client must then be live, and
// have or be told of everything.
func (w *modelWorld) drain() {
	w.take()
	w.sink.room = 1 << 30
	Subscriber{w.client}.Writable()
	for range 60 {
		w.flow()
		if !w.readPage(nil) && !w.answer() {
			w.tick()
		}
		w.answer()
		if w.client.live() && !w.s.patience.waits && w.s.cursor() == w.last() && w.s.mail.Empty() {
			w.pass()
			w.checkEnd()
			return
		}
	}
	w.fail("never live again: state %d, pos %d, cursor %d", w.client.state, w.client.pos, w.s.cursor())
}
