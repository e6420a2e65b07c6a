package pebblelog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/deadlines"
	"github.com/spatehub/spate/persist/internal/floors"
	"github.com/spatehub/spate/persist/internal/runs"
	"github.com/spatehub/spate/persist/internal/shrink"
	"github.com/spatehub/spate/persist/internal/streams"
)

// state is what a Pebble log knows about its records without looking: the numbers
// that retention goes by. It covers begun batches, acknowledged or not. It can be
// built from disk (load), and is, after each failure.
type state struct {
	chunkList
	retention *persist.Retention
	clock     persist.Clock
	grain     grain

	first     uint64     // oldest record that is readable, 0 if none
	floor     uint64     // up to here everything is gone
	floorTime int64      // the newest time of what is
	floors    floors.Set // of topics: up to where their retention has removed records here
	runs      runs.List  // those that retention has not passed
	lost      uint64     // the highest ID that was acknowledged and is missing, 0 if none is

	// topics has the topics with bounds that have records. inOpen are those with
	// records in the open chunk, which their numbers on disk leave out; dueTopics
	// are those known to be beyond their bounds.
	topics    shrink.Map[string, *topicCount]
	ages      deadlines.Heap // of those with a bound of age: when the oldest record may be too old
	inOpen    []string
	dueTopics []string

	// recountTo is not 0 while the records up to it have still to be counted by
	// topic: the set of topics with bounds has changed.
	recountTo uint64
}

// topicCount is the sums over one topic.
type topicCount struct {
	deadlines.Entry      // its name
	count, bytes         int64
	openCount, openBytes int64 // of these in the open chunk
	oldest               int64 // time of the oldest record, or earlier
	due                  bool  // in dueTopics

	// from is the ID of the oldest record, or a lower one: to look for it from the
	// beginning would pass all that was removed of other topics. kinds are those of
	// the records that there were since the counters were made, 0 if that is not known.
	from  uint64
	kinds streamKinds
}

// streamKinds are streams that the records of a topic are in.
type streamKinds uint64

const (
	kindPublic  streamKinds = 1 << iota // for everyone
	kindPrivate                         // with an audience
)

// kindOf returns the kind of a record with or without an audience.
func kindOf(private bool) streamKinds {
	if private {
		return kindPrivate
	}
	return kindPublic
}

// names returns the streams of a topic that are to be looked through.
func (k streamKinds) names(topic string) []string {
	switch k {
	case kindPublic:
		return []string{streams.Topic(topic)}
	case kindPrivate:
		return []string{streams.Private(topic)}
	default:
		return []string{streams.Topic(topic), streams.Private(topic)}
	}
}

// begins has the topic known to begin where its first record does.
func (t *topicCount) begins(id uint64, private bool) {
	if t.count == 0 {
		t.from, t.kinds = id, kindOf(private)
	} else if t.kinds != 0 {
		t.kinds |= kindOf(private)
	}
}

func newState(c *config) state {
	s := state{retention: &c.retention, clock: c.clock, grain: newGrain(&c.retention)}
	s.floors = newFloors(c)
	return s
}

func newFloors(c *config) floors.Set {
	return floors.Set{Limit: c.maxFloors, Bounded: func(topic string) bool {
		_, bounded := c.retention.ForTopic(topic)
		return bounded
	}}
}

// raiseFloor notes that records of a topic are gone up to an ID.
func (s *state) raiseFloor(b *pebble.Batch, topic string, id uint64) {
	gone := func(topic string) { _ = b.Delete(topicKey(keyFloor, topic), nil) }
	putID(b, topicKey(keyFloor, topic), id)
	if s.floors.Raise(topic, id, gone) {
		s.putMerged(b)
	}
}

// putMerged writes the floors that topics have in common.
func (s *state) putMerged(b *pebble.Batch) {
	putID(b, stateCommon, s.floors.Common())
	putID(b, stateFormer, s.floors.Former())
}

// setTopic adds a topic with bounds.
func (s *state) setTopic(t *topicCount) {
	s.topics.Set(t.Name, t)
	s.setDeadline(t)
}

// setDeadline has a topic looked at when its oldest record may be too old. One that is
// ahead of the clock is no older than now.
func (s *state) setDeadline(t *topicCount) {
	if r, _ := s.retention.ForTopic(t.Name); r.MaxAge > 0 {
		s.ages.Set(&t.Entry, min(t.oldest, s.clock.Now().UnixMilli())+r.MaxAge.Milliseconds())
	}
}

// forget takes out a topic that has no records.
func (s *state) forget(t *topicCount) {
	s.ages.Remove(&t.Entry)
	s.topics.Delete(t.Name)
}

// countRecord counts a new record, and adds to b what that completes.
func (s *state) countRecord(id uint64, topic string, private bool, at, size int64, b *pebble.Batch) {
	if topic != "" && len(s.retention.Topics) > 0 {
		s.countTopic(id, topic, private, at, size)
	}
	if c := s.add(&s.grain, id, at, size); c != nil {
		s.closeChunk(c, b)
	}
}

func (s *state) countTopic(id uint64, topic string, private bool, at, size int64) {
	r, bounded := s.retention.ForTopic(topic)
	if !bounded {
		return
	}
	t := s.topics.Get(topic)
	if t == nil {
		t = &topicCount{Entry: deadlines.Entry{Name: strings.Clone(topic)}, oldest: at}
		s.setTopic(t)
	}
	if t.openCount == 0 {
		s.inOpen = append(s.inOpen, t.Name)
	}
	t.begins(id, private)
	t.count++
	t.bytes += size
	t.openCount++
	t.openBytes += size
	if at < t.oldest {
		t.oldest = at
		s.setDeadline(t)
	}
	if !t.due && t.wasteful(&r) {
		s.markDue(t)
	}
}

// markWasteful has a topic that is far over its bounds seen to.
func (s *state) markWasteful(t *topicCount) {
	if r, _ := s.retention.ForTopic(t.Name); !t.due && t.wasteful(&r) {
		s.markDue(t)
	}
}

func (s *state) markDue(t *topicCount) {
	t.due = true
	s.dueTopics = append(s.dueTopics, t.Name)
}

// over reports whether the oldest record of the topic has to go.
func (t *topicCount) over(r *persist.Retention, cutoff int64) bool {
	return r.MaxCount > 0 && t.count > r.MaxCount ||
		r.MaxBytes > 0 && t.bytes > r.MaxBytes ||
		r.MaxAge > 0 && t.count > 0 && t.oldest < cutoff
}

// wasteful reports whether the topic is so far over its bounds that it is worth
// the while to do something about it.
func (t *topicCount) wasteful(r *persist.Retention) bool {
	return r.MaxCount > 0 && t.count > r.MaxCount+r.MaxCount/chunksOfBound ||
		r.MaxBytes > 0 && t.bytes > r.MaxBytes+r.MaxBytes/chunksOfBound
}

// closeChunk writes the numbers of a full chunk and of the topics in it.
func (s *state) closeChunk(c *chunk, b *pebble.Batch) {
	putChunk(b, c)
	for _, topic := range s.inOpen {
		if t := s.topics.Get(topic); t != nil {
			t.openCount, t.openBytes = 0, 0
			putTopic(b, t)
		}
	}
	s.inOpen = s.inOpen[:0]
}

// due reports whether the log as a whole or a topic is beyond a bound other than
// age.
func (s *state) due() bool {
	if len(s.dueTopics) > 0 || s.recountTo != 0 {
		return true
	}
	if len(s.chunks) == 0 {
		return false
	}
	c := &s.chunks[0]
	return s.retention.MaxCount > 0 && s.count-c.count >= s.retention.MaxCount ||
		s.retention.MaxBytes > 0 && s.bytes-c.bytes >= s.retention.MaxBytes
}

func putChunk(b *pebble.Batch, c *chunk) {
	_ = b.Set(chunkKey(nil, c.first), c.append(nil), nil)
}

func putTopic(b *pebble.Batch, t *topicCount) {
	key := topicKey(keyCounter, t.Name)
	if t.count == t.openCount {
		_ = b.Delete(key, nil)
		return
	}
	v := binary.AppendVarint(nil, t.count-t.openCount)
	v = binary.AppendVarint(v, t.bytes-t.openBytes)
	v = binary.AppendVarint(v, t.oldest)
	v = binary.AppendUvarint(v, t.from)
	_ = b.Set(key, binary.AppendUvarint(v, uint64(t.kinds)), nil)
}

func parseTopic(key, v []byte) (*topicCount, error) {
	t := &topicCount{Entry: deadlines.Entry{Name: string(key[1:])}}
	for _, field := range []*int64{&t.count, &t.bytes, &t.oldest} {
		n := 0
		if *field, n = binary.Varint(v); n <= 0 {
			return nil, fmt.Errorf("%w: counters of topic %q", errValue, t.Name)
		}
		v = v[n:]
	}
	// These were not always written.
	from, n := binary.Uvarint(v)
	if n > 0 {
		t.from = from
		kinds, _ := binary.Uvarint(v[n:])
		t.kinds = streamKinds(kinds)
	}
	return t, nil
}

func putID(b *pebble.Batch, key []byte, id uint64) {
	_ = b.Set(key, binary.BigEndian.AppendUint64(nil, id), nil)
}

func parseID(key, v []byte) (uint64, error) {
	if len(v) != 8 {
		return 0, fmt.Errorf("%w: state %q", errValue, key)
	}
	return binary.BigEndian.Uint64(v), nil
}

// uncounted ends the signature of topics whose counters are not there yet.
var uncounted = []byte{0}

// signature names the topics that counters on disk are for, and where that is all but
// some, those.
func (s *state) signature() []byte {
	var names, others []string
	for topic, r := range s.retention.Topics {
		if r.Bounded() {
			names = append(names, topic)
		} else {
			others = append(others, topic)
		}
	}
	slices.Sort(names)
	if any := s.retention.Topics[persist.AnyTopic]; any.Bounded() && len(others) > 0 {
		slices.Sort(others)
		names = append(append(names, ""), others...)
	}
	return []byte(strings.Join(names, "\x00"))
}

// ofSignature returns bounds of the topics that a signature names. Those that topics have
// are not in it.
func ofSignature(signature []byte) persist.Retention {
	r := persist.Retention{Topics: map[string]persist.Retention{}}
	if len(signature) == 0 {
		return r
	}
	bounds := persist.Retention{MaxCount: 1}
	for topic := range strings.SplitSeq(string(bytes.TrimSuffix(signature, uncounted)), "\x00") {
		if topic == "" {
			bounds = persist.Retention{} // those that follow have none
			continue
		}
		r.Topics[topic] = bounds
	}
	return r
}
