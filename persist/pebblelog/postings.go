package pebblelog

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/streams"
)

// maxPosting is how many IDs one key of the index lists. A reader that wants a
// few of them decodes them all.
const maxPosting = 128

// postings collects the index of a batch: of the records for everyone, a key
// lists a run of IDs of one stream. A key for each record is simpler, but then
// half of all keys that are written, flushed and compacted are those of the
// index: with lists, a record for everyone costs Pebble half as much.
//
// The streams of users have a key for each record, so that retention of a topic
// can take single records out of them.
//
// Used by one goroutine at a time. The zero value is ready.
type postings struct {
	seg    uint64         // that all lists are in
	lists  []posting      // the first n are in use
	n      int            // the others keep their memory
	last   int            // list of the latest record
	byName map[string]int // topic to list, without the first one
}

// posting is the list of one stream that is being filled.
type posting struct {
	topic string // "": the public stream
	last  uint64
	count int
	gaps  []byte // between the IDs, uvarints
}

// add adds a record to the index.
func (p *postings) add(b *pebble.Batch, r *persist.Record) {
	if r.Users != nil {
		putIndexKeys(b, r)
		return
	}
	if seg := r.ID >> segmentBits; seg != p.seg {
		p.flush(b)
		p.seg = seg
	}
	l := p.list(r.Topic)
	if l.count == maxPosting {
		l.put(b)
	}
	if l.count > 0 {
		l.gaps = binary.AppendUvarint(l.gaps, r.ID-l.last)
	}
	l.last = r.ID
	l.count++
}

// list returns the list of a topic.
func (p *postings) list(topic string) *posting {
	if p.n > 0 && p.lists[p.last].topic == topic {
		return &p.lists[p.last]
	}
	i, known := 0, p.n > 0 && p.lists[0].topic == topic
	if !known {
		i, known = p.byName[topic]
	}
	if !known {
		if i = p.n; i > 0 {
			if p.byName == nil {
				p.byName = make(map[string]int)
			}
			p.byName[topic] = i
		}
		if p.n++; p.n > len(p.lists) {
			p.lists = append(p.lists, posting{})
		}
		p.lists[i].topic = topic
	}
	p.last = i
	return &p.lists[i]
}

// maxLists is up to how many lists keep their memory for the next batch.
const maxLists = 2 * maxPosting

// flush writes all lists and forgets them, and the names, which are the
// caller's.
func (p *postings) flush(b *pebble.Batch) {
	for i := range p.lists[:p.n] {
		if l := &p.lists[i]; l.count > 0 {
			l.put(b)
		}
		p.lists[i].topic = ""
	}
	switch {
	case p.n > maxLists:
		p.lists, p.byName = nil, nil
	case p.n > 1:
		clear(p.byName)
	}
	p.n, p.last = 0, 0
}

// put writes the list under its last ID and empties it.
func (l *posting) put(b *pebble.Batch) {
	prefix := streams.Public
	if l.topic != "" {
		prefix = streams.TopicPrefix
	}
	op := b.SetDeferred(indexKeyLen(prefix, l.topic), len(l.gaps))
	putIndexKey(op.Key, prefix, l.topic, l.last)
	copy(op.Value, l.gaps)
	_ = op.Finish()
	l.count, l.gaps = 0, l.gaps[:0]
}

// appendPosting appends the IDs of a list that lie in from..upTo, given its last
// ID and its value, but at most as many as ids has room for.
func appendPosting(ids []uint64, last uint64, gaps []byte, from, upTo uint64) ([]uint64, error) {
	id := last
	for rest := gaps; len(rest) > 0; {
		gap, n := binary.Uvarint(rest)
		if n <= 0 || gap == 0 || gap >= id {
			return ids, fmt.Errorf("%w: index at %d", errValue, last)
		}
		id -= gap
		rest = rest[n:]
	}
	for {
		if id >= from && id <= upTo {
			if len(ids) == cap(ids) {
				return ids, nil
			}
			ids = append(ids, id)
		}
		if len(gaps) == 0 {
			return ids, nil
		}
		gap, n := binary.Uvarint(gaps)
		id += gap
		gaps = gaps[n:]
	}
}
