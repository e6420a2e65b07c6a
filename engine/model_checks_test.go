package engine

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/spatehub/spate/wire"
)

// This file is what must hold in the model's world: of each frame that the client
// gets, and when everything has come to its end.

func (w *modelWorld) checkEnd() {
	last := map[string]position{}
	for seq := position(1); seq <= w.last(); seq++ {
		e := w.events[seq]
		if e.mine && !e.failed && e.key != "" && seq > last[e.key] && (!e.ephemeral || e.fate != 0) {
			last[e.key] = seq
		}
	}
	for seq := position(1); seq <= w.last(); seq++ {
		e := w.events[seq]
		if !e.mine || e.failed || e.ephemeral || e.fate != 0 {
			continue
		}
		if e.key == "" || last[e.key] == seq {
			w.fail("event %d never came, and no gap told so", seq)
		}
	}
}

// received checks one frame as the client gets it.
func (w *modelWorld) received(frame string) {
	if strings.HasPrefix(frame, "event: gap\n") {
		w.receivedGap(frame)
		return
	}
	data := frame[strings.Index(frame, "data: ")+6 : len(frame)-2]
	n, err := strconv.Atoi(data)
	if err != nil {
		w.fail("frame %q", frame)
		return
	}
	seq := position(n - modelStart)
	e := w.events[seq]
	switch {
	case !e.mine:
		w.fail("event %d is not for the client", seq)
	case e.failed:
		w.fail("event %d was refused by the log", seq)
	case seq <= w.lastSeq:
		w.fail("event %d came after %d", seq, w.lastSeq)
	case e.fate == 'd':
		w.fail("event %d came twice", seq)
	case e.fate == 'g':
		w.fail("event %d was told as lost", seq)
	case w.s.cursor() < seq && w.s.high.pos < seq:
		w.fail("event %d came before the shard was there", seq)
	case e.ephemeral == strings.HasPrefix(frame, "id: "):
		w.fail("frame %q", frame)
	}
	for missed := position(1); missed < seq; missed++ {
		if m := w.events[missed]; m.at.id > w.from && m.mine && !m.ephemeral && !m.failed && m.fate == 0 && m.key == "" {
			w.fail("event %d came before %d", seq, missed)
		}
	}
	e.fate = 'd'
	w.events[seq] = e
	w.lastSeq = seq
	if !e.ephemeral {
		w.from = e.at.id
	}
}

func (w *modelWorld) receivedGap(frame string) {
	var g Gap
	if err := json.Unmarshal([]byte(frame[strings.Index(frame, "data: ")+6:len(frame)-2]), &g); err != nil {
		w.fail("gap %q: %v", frame, err)
		return
	}
	if w.unknown && len(g.From) == 5 {
		g.From = g.From[1:] // where the client really was
	}
	f, _ := wire.ParseID(g.From)
	t, _ := wire.ParseID(g.To)
	from, to := eventID(f), eventID(t)
	if from < w.from || to < from || to > w.h.latest().id {
		w.fail("gap from %d to %d for a client at %d", from, to, w.from)
	}
	lost := false
	for seq := position(1); seq <= w.last(); seq++ {
		e := w.events[seq]
		if e.at.id < w.from || e.at.id > to {
			continue
		}
		if e.mine && e.ephemeral && e.fate == 0 && e.at.id >= from {
			lost = true
		}
		if !e.mine || e.failed || e.ephemeral || e.fate == 'd' || e.key != "" || e.at.id == w.from {
			continue
		}
		if e.at.id <= from && e.fate == 0 {
			w.fail("event %d is before the gap from %d, and did not come", seq, from)
		}
		lost = true
		e.fate = 'g'
		w.events[seq] = e
	}
	for seq := position(1); seq <= w.last(); seq++ {
		if e := w.events[seq]; !e.ephemeral && e.at.id > from && e.at.id <= to && e.key != "" && e.fate == 0 {
			e.fate = 'g'
			w.events[seq] = e
		}
	}
	drops := w.policy == PolicyRetry || w.policy == PolicyDropOldest
	switch {
	case w.modelSetup.log && !drops:
		if floor := eventID(w.log.floor); (from >= floor || to > floor) && !w.atSeat(from, to) {
			w.fail("gap from %d to %d, but the log has everything after %d", from, to, w.log.floor)
		}
	case w.modelSetup.log && from < eventID(w.log.floor):
	case w.atSeat(from, to):
	case !lost && !w.conflate && from >= w.s.oldestID() && w.toldTo < from:
		w.fail("gap from %d to %d, but the window begins after %d and nothing was lost", from, to, w.s.oldestID())
	}
	w.toldTo = max(w.toldTo, to)
}

// atSeat says whether a gap is one with which a connection begins whose ID does
// not count: up to the seat and no further, or what was pushed since is lost.
func (w *modelWorld) atSeat(from, to eventID) bool {
	return (w.noResend && from < to || w.unknown) && to == w.stand.id
}
