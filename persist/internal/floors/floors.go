// Package floors remembers up to which ID retention of single topics has removed
// records.
package floors

import (
	"slices"

	"github.com/spatehub/spate/persist/internal/shrink"
)

// Max is how many topics are remembered by name. Beyond it, the lower half of them is
// merged into a floor that they have in common.
const Max = 1 << 16

// Set is the floors of the topics that have bounds of their own. The common one is
// that of every topic that has none by name: a reader of such a topic may be told of
// a gap where it has none, and never the other way round.
//
// A topic that comes and goes leaves a floor behind for good. Without a bound they
// would take memory and time for as long as the log lives. The zero value is ready.
type Set struct {
	// Limit takes the place of Max, in tests; 0 does not.
	Limit int

	// Bounded reports whether a topic has bounds at present; nil is that all have. A floor
	// by name of one that has none any more is merged into the former one.
	Bounded func(topic string) bool

	byTopic shrink.Map[string, uint64]
	common  uint64
	former  uint64 // the common one when topics were last taken their bounds, or what was merged since
	passed  int    // records removed since floors were last looked through
}

// Common returns the floor that all topics with bounds have.
func (s *Set) Common() uint64 { return s.common }

// SetCommon sets it, when the set is built.
func (s *Set) SetCommon(id uint64) { s.common = id }

// Former returns the floor that topics without bounds have, because they may have had
// some.
func (s *Set) Former() uint64 { return s.former }

// SetFormer sets it, when the set is built.
func (s *Set) SetFormer(id uint64) { s.former = id }

// Rebound notes that other topics have bounds from now on. Those that have none any more
// keep the common floor that they had.
func (s *Set) Rebound() { s.former = s.common }

// Of returns the floor of a topic that has bounds, or has none.
func (s *Set) Of(topic string, bounded bool) uint64 {
	if bounded {
		return max(s.byTopic.Get(topic), s.common)
	}
	return max(s.byTopic.Get(topic), s.former)
}

// Highest returns the highest floor of the topics that match reports true for, and
// that they have in common. It looks at all that are remembered by name.
func (s *Set) Highest(match func(topic string) bool) uint64 {
	highest := s.common
	for topic, id := range s.byTopic.All() {
		if id > highest && match(topic) {
			highest = id
		}
	}
	return highest
}

// Named returns the floor of a topic by its name, 0 if there is none.
func (s *Set) Named(topic string) uint64 { return s.byTopic.Get(topic) }

// Len returns how many topics are remembered by name.
func (s *Set) Len() int { return s.byTopic.Len() }

// Raise sets the floor of a topic. If that makes too many, gone is called for each
// that is merged into the common one, and merged is true. The cost is logarithmic on
// average. Where merged is true, Former may have risen too.
func (s *Set) Raise(topic string, id uint64, gone func(topic string)) (merged bool) {
	s.byTopic.Set(topic, id)
	limit := Max
	if s.Limit > 0 {
		limit = s.Limit
	}
	if s.byTopic.Len() <= limit {
		return false
	}
	ids := make([]uint64, 0, s.byTopic.Len())
	for _, id := range s.byTopic.All() {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	s.common = max(s.common, ids[len(ids)/2])
	for topic, id := range s.byTopic.All() {
		if id <= s.common && id > s.former && s.Bounded != nil && !s.Bounded(topic) {
			s.former = id
		}
	}
	s.drop(s.common, gone)
	return true
}

// Keep raises the floors to those of another set.
func (s *Set) Keep(other *Set) {
	s.common, s.former = max(s.common, other.common), max(s.former, other.former)
	for topic, id := range other.byTopic.All() {
		if id > s.byTopic.Get(topic) {
			s.Raise(topic, id, nil)
		}
	}
}

// Reached forgets the floor by name of a topic which another set has at an ID now,
// unless it is higher.
func (s *Set) Reached(topic string, id uint64) {
	if had := s.byTopic.Get(topic); had > 0 && had <= id {
		s.byTopic.Delete(topic)
	}
}

// ReachedAll is Reached for all floors by name of another set.
func (s *Set) ReachedAll(other *Set) {
	for topic, id := range other.byTopic.All() {
		s.Reached(topic, id)
	}
}

// Pass forgets the floors that that of the whole log has passed. It is free until as
// many records were removed as there are floors, so it costs each record a constant
// number of steps on average.
func (s *Set) Pass(floor uint64, removed int64, gone func(topic string)) {
	s.passed += int(removed)
	if s.passed < s.byTopic.Len() {
		return
	}
	s.passed = 0
	s.drop(floor, gone)
}

func (s *Set) drop(upTo uint64, gone func(topic string)) {
	var topics []string
	for topic, id := range s.byTopic.All() {
		if id <= upTo {
			topics = append(topics, topic)
		}
	}
	for _, topic := range topics {
		s.byTopic.Delete(topic)
		if gone != nil {
			gone(topic)
		}
	}
}
