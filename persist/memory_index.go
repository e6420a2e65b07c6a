package persist

import (
	"sort"
	"strings"
	"unsafe"

	"github.com/spatehub/spate/persist/internal/streams"
)

// Kinds of streams; the zero one is the public stream, which has no name.
const (
	topicStream   = streams.TopicPrefix
	userStream    = streams.UserPrefix
	privateStream = streams.PrivatePrefix
)

// streamKey names a stream without a string of its own.
type streamKey struct{ kind, name string }

// memStream is the IDs of a stream. Its name is what records refer to.
type memStream struct {
	key streamKey
	idList
}

// What the log holds beside frames and names, in bytes, about: Go's maps and slices
// grow ahead of what is in them.
const (
	recordHeld = int64(unsafe.Sizeof(memRecord{}))
	idHeld     = 16  // an ID in a list
	nameHeld   = 16  // a reference to a name
	streamHeld = 192 // a stream, beside its name
	topicHeld  = 192 // a topic with bounds; the name is that of a stream
)

// held is about how many bytes the log holds for a record, but for the names, which
// the streams hold.
func (r *memRecord) held() int64 {
	n := recordHeld + int64(len(r.Frame)+len(r.Key)) + int64(len(r.Users))*(nameHeld+idHeld)
	if r.Topic != "" || r.Users == nil {
		n += 2 * idHeld // one in the list of a topic with bounds
	}
	return n
}

// streamLocked adds an ID to a stream, which it makes if need be.
func (m *Memory) streamLocked(key streamKey, id uint64) *memStream {
	s := m.mu.streams.Get(key)
	if s == nil {
		key.name = strings.Clone(key.name)
		s = &memStream{key: key}
		m.mu.streams.Set(key, s)
		if key.kind == topicStream {
			m.mu.byName.add(s)
		}
		m.mu.bytes += streamHeld + int64(len(key.name))
	}
	s.push(id)
	return s
}

// unindexLocked takes a record that is not live any more out of its streams.
func (m *Memory) unindexLocked(r *memRecord) {
	streams.Each(r.Users, r.Topic, func(kind, name string) {
		key := streamKey{kind, name}
		s := m.mu.streams.Get(key)
		if s == nil {
			return
		}
		s.remove(r.ID, func(id uint64) bool { _, r := findRecord(m.mu.chunks, id); return r != nil })
		if s.len() == 0 {
			m.mu.streams.Delete(key)
			if kind == topicStream {
				m.mu.byName.remove(s)
			}
			m.mu.bytes -= streamHeld + int64(len(name))
		}
	})
}

// idList is a queue of ascending IDs. Those in its middle that were removed stay for a
// while: whoever reads it looks whether the record is there.
type idList struct {
	ids  []uint64
	head int    // ids[:head] are gone
	dead int    // of the others
	gone uint64 // the last one that was removed
}

func (l *idList) len() int { return len(l.ids) - l.head - l.dead }

// push appends an ID; one that is the last already is not added again.
func (l *idList) push(id uint64) {
	if n := len(l.ids); n > l.head && l.ids[n-1] == id {
		return
	}
	l.ids = append(l.ids, id)
}

func (l *idList) front() uint64 { return l.ids[l.head] }

// after returns the IDs > id. The list keeps the memory.
func (l *idList) after(id uint64) []uint64 {
	live := l.ids[l.head:]
	i := sort.Search(len(live), func(i int) bool { return live[i] > id })
	return live[i:]
}

// remove takes out an ID that was in the list; again, for a user who is named twice, it
// does nothing. alive reports whether one is still to
// be in it. The cost is constant on average, calls of alive included.
func (l *idList) remove(id uint64, alive func(id uint64) bool) {
	if id == l.gone {
		return
	}
	l.gone = id
	if l.ids[l.head] == id {
		l.head++
	} else {
		l.dead++
	}
	if waste := l.head + l.dead; waste < 64 || waste <= len(l.ids)/2 {
		return
	}
	ids := make([]uint64, 0, 2*l.len())
	for _, kept := range l.ids[l.head:] {
		if l.dead == 0 || alive(kept) {
			ids = append(ids, kept)
		}
	}
	*l = idList{ids: ids, gone: id}
}

// arenaLen is how much memory the copies of recs take that share a block.
func arenaLen(recs []Record) (n int) {
	for i := range recs {
		n += len(recs[i].Frame) + len(recs[i].Key)
	}
	return n
}

// cut returns a copy of p at the end of the arena, which has room for it.
func cut(arena, p []byte) (rest, copied []byte) {
	start := len(arena)
	arena = append(arena, p...)
	return arena, arena[start:len(arena):len(arena)]
}

func cutText(arena []byte, s string) (rest []byte, copied string) {
	if s == "" {
		return arena, ""
	}
	start := len(arena)
	arena = append(arena, s...)
	return arena, unsafe.String(&arena[start], len(s))
}
