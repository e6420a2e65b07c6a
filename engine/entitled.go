package engine

import (
	"context"
	"slices"

	"github.com/spatehub/spate/engine/internal/topics"
	"github.com/spatehub/spate/wire"
)

// MaxEntitled bounds the topics and the users of one [Hub.Entitled].
const MaxEntitled = 1000

// Entitled counts, for each of the topics, the connections that an event of it would
// reach at this moment: those that follow it, by name or by a pattern; "" is an event
// without a topic. uids, unless it is nil, leaves out the connections of other users.
// Connections that still wait for their shard are not counted, nor those that wait
// to be told their end.
//
// The work is shared out over the shards' passes, as that of [Hub.Connections] is.
// Errors: ErrClosed, ctx's, a *wire.FieldError where there are too many topics or
// users.
func (h *Hub) Entitled(ctx context.Context, uids, names []string) ([]int, error) {
	switch {
	case len(names) > MaxEntitled:
		return nil, &wire.FieldError{Field: "topic", Reason: "is given too often"}
	case len(uids) > MaxEntitled:
		return nil, &wire.FieldError{Field: "uid", Reason: "is given too often"}
	}
	uids = slices.Clone(uids)
	slices.Sort(uids)
	uids = slices.Compact(uids)
	counts := make([]int, len(names))
	for _, s := range h.shards {
		count := &entitled{names: names, uids: uids, some: uids != nil, counts: make([]int, len(names))}
		if err := h.errand(ctx, s, count.step); err != nil {
			return nil, err
		}
		for i, n := range count.counts {
			counts[i] += n
		}
	}
	return counts, nil
}

// entitled is the counting in one shard. It stops anywhere; what comes and goes
// meanwhile may be counted or not.
type entitled struct {
	names, uids []string
	some        bool // only connections of uids
	counts      []int

	at     int    // in names
	pos    int    // of the sets' members, or of uids, that were looked at
	serial uint64 // of the user's connection that was looked at last; 0: none was
	sets   []*topics.Set[*client]
}

func (e *entitled) step(s *shard, end int) progress {
	for e.at < len(e.names) {
		if s.cost >= end {
			return errandMore
		}
		if e.one(s, end) {
			s.spend(lookCost)
			e.at++
			e.pos = 0
		}
	}
	return errandDone
}

// one counts for the topic at hand, and returns whether it has all.
func (e *entitled) one(s *shard, end int) bool {
	name := e.names[e.at]
	switch {
	case e.some:
		return e.ofUsers(s, name, end)
	case name == "":
		for e.pos < len(s.books.clients) && s.cost < end {
			if !s.books.clients[e.pos].only {
				e.counts[e.at]++
			}
			e.pos++
			s.spend(lookCost)
		}
		return e.pos >= len(s.books.clients)
	}
	e.sets = s.books.topics.AppendSets(e.sets[:0], name)
	if len(e.sets) == 1 {
		e.counts[e.at] = len(e.sets[0].Entries())
		return true
	}
	return e.ofSets(s, name, end)
}

// ofUsers counts the connections of the users that get an event of the topic. Those of a
// user are looked at from the newest to the oldest, by serial.
func (e *entitled) ofUsers(s *shard, name string, end int) bool {
	for ; e.pos < len(e.uids); e.pos, e.serial = e.pos+1, 0 {
		s.spend(lookCost)
		for c := s.books.users.Get(e.uids[e.pos]); c != nil; c = s.books.older(c) {
			if e.serial != 0 && c.serial >= e.serial {
				continue
			}
			e.serial = c.serial
			s.spend(c.followCost())
			if c.wish().Takes(name, true) {
				e.counts[e.at]++
			}
			if s.reached(end) {
				return false
			}
		}
	}
	return true
}

// ofSets counts members of several sets, each once: by the first of its patterns that
// has the topic.
func (e *entitled) ofSets(s *shard, name string, end int) bool {
	at := 0 // members of the sets before
	for _, set := range e.sets {
		members := set.Entries()
		for e.pos < at+len(members) && s.cost < end {
			m := members[e.pos-at]
			s.spend(m.Member.followCost())
			if m.Member.topics[m.Member.follows(name)].In(set) {
				e.counts[e.at]++
			}
			e.pos++
		}
		if at += len(members); e.pos < at {
			return false
		}
	}
	return true
}
