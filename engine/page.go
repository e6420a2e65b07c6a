package engine

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

const (
	// pageRecords and pageBytes bound one reading of the log.
	pageRecords = 1024
	pageBytes   = 256 << 10
	// cacheBytes bounds the pages kept for other clients that read the same.
	cacheBytes = 16 << 20
)

// page is a stretch of the log for one kind of reader: every event for it
// after after and up to upTo. Its records never change once made; of the forms
// only those are there that somebody reads in.
type page struct {
	after, upTo eventID
	records     []persist.Record
	names       int // bytes of the records' names, with the heads of their lists

	// whom tells the records' audiences apart, where the hub has encodings.
	whom []uint64

	// made are the frames, one after the other, by framing, and coded the page in
	// the encodings. A reader of the log publishes one; from then on it never changes.
	// Shards see pages that have their client's form.
	made  [framings]atomic.Pointer[pageFrames]
	coded [maxEncodings]atomic.Pointer[codedPage]
}

// pageFrames is a page's bytes in one framing.
type pageFrames struct {
	data  []byte
	parts []part
}

// frame returns record i.
func (t *pageFrames) frame(i int) []byte {
	start := 0
	if i > 0 {
		start = t.parts[i-1].end
	}
	return t.data[start:t.parts[i].end]
}

// newPage makes a page of what was read, in one framing. The records' plain frames
// then are parts of it.
func newPage(after eventID, p persist.Page, f Form, whom []uint64) *page {
	pg := &page{after: after, upTo: eventID(p.UpTo), records: p.Records, whom: whom}
	t := pg.make(f)
	for i := range pg.records {
		r, frame := &pg.records[i], t.frame(i)
		if f == FormChunked {
			end := len(frame) - len(wire.ChunkEnd)
			frame = frame[end-len(r.Frame) : end]
		}
		r.Frame = frame[:len(frame):len(frame)]
		pg.names += len(r.Topic) + len(r.Key) + 16*len(r.Users)
		for _, u := range r.Users {
			pg.names += len(u)
		}
	}
	return pg
}

// slim leaves of a page's names what matters to the user that all its records are
// for: the others of an audience of thousands are not kept, nor what the log read
// them into.
func slim(p persist.Page, uid string) persist.Page {
	only := []string{uid}
	for i := range p.Records {
		r := &p.Records[i]
		r.Users, r.Topic, r.Key = only, strings.Clone(r.Topic), strings.Clone(r.Key)
	}
	return p
}

// make returns the page's bytes in the framing and makes them, if nobody has.
func (p *page) make(f Form) *pageFrames {
	if t := p.made[f].Load(); t != nil {
		return t
	}
	size := 0
	for i := range p.records {
		size += len(p.records[i].Frame)
	}
	if f == FormChunked {
		size += len(p.records) * (chunkRoom + len(wire.ChunkEnd))
	}
	t := &pageFrames{data: make([]byte, 0, size), parts: make([]part, len(p.records))}
	for i := range p.records {
		t.data = f.append(t.data, p.records[i].Frame)
		t.parts[i] = part{end: len(t.data), at: point{id: eventID(p.records[i].ID)}}
	}
	if !p.made[f].CompareAndSwap(nil, t) {
		return p.made[f].Load() // another reader was at it
	}
	return t
}

// in returns the page's bytes in a framing that it has.
func (p *page) in(f Form) *pageFrames { return p.made[f].Load() }

// frame returns record i as a gatherer takes it for the form.
func (p *page) frame(i int, f Form) []byte {
	if f.coded() {
		return p.records[i].Frame
	}
	return p.in(f).frame(i)
}

// span is a range of a page's records.
type span struct{ from, to int }

func (s span) empty() bool { return s.from >= s.to }

// within returns the records with after < ID ≤ upTo.
func (p *page) within(after, upTo eventID) span {
	index := func(id eventID) int {
		if last := len(p.records) - 1; last < 0 || id < eventID(p.records[0].ID) {
			return 0
		} else if id >= eventID(p.records[last].ID) {
			return last + 1
		}
		i, _ := slices.BinarySearchFunc(p.records, uint64(id)+1, func(r persist.Record, id uint64) int { return cmp.Compare(r.ID, id) })
		return i
	}
	return span{index(after), index(upTo)}
}

// covers says whether a reader at position after finds in the page what comes
// next.
func (p *page) covers(after eventID) bool { return p.after <= after && after < p.upTo }

// pageCache keeps recent pages by kind of reader, so that clients which read
// the same range share one reading. Only catch-up readers use it.
type pageCache struct {
	mu struct {
		sync.Mutex
		pages map[string][]*page
		order []*cached // oldest first
		bytes int
	}
}

type cached struct {
	kind string
	page *page
	cost int // as counted
}

func (pc *pageCache) find(kind string, after eventID) *page {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	for _, p := range slices.Backward(pc.mu.pages[kind]) {
		if p.covers(after) {
			return p
		}
	}
	return nil
}

func (pc *pageCache) add(kind string, p *page) {
	if p.upTo == p.after {
		return
	}
	pc.mu.Lock()
	defer pc.mu.Unlock()
	if pc.mu.pages == nil {
		pc.mu.pages = map[string][]*page{}
	}
	pc.mu.pages[kind] = append(pc.mu.pages[kind], p)
	c := &cached{kind: kind, page: p, cost: p.cost(kind)}
	pc.mu.order = append(pc.mu.order, c)
	pc.mu.bytes += c.cost
	pc.evict()
}

// grown counts what a page of the cache has got since.
func (pc *pageCache) grown(p *page) {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	for _, c := range slices.Backward(pc.mu.order) {
		if c.page == p {
			pc.mu.bytes -= c.cost
			c.cost = p.cost(c.kind)
			pc.mu.bytes += c.cost
			break
		}
	}
	pc.evict()
}

// evict lets the oldest pages go that are beyond the cache's bounds. The lock is
// held.
func (pc *pageCache) evict() {
	for pc.mu.bytes > cacheBytes || len(pc.mu.order) > maxCachedPages {
		old := pc.mu.order[0]
		pc.mu.order[0] = nil
		pc.mu.order = pc.mu.order[1:]
		pc.mu.bytes -= old.cost
		list := pc.mu.pages[old.kind]
		if i := slices.Index(list, old.page); i >= 0 {
			list = slices.Delete(list, i, i+1)
		}
		if len(list) == 0 {
			delete(pc.mu.pages, old.kind)
		} else {
			pc.mu.pages[old.kind] = list
		}
	}
}

// maxCachedPages bounds the look-up's length.
const maxCachedPages = 512

// cost is about the memory that the page takes in the cache: frames in each
// form, what the log read them into (of which the names are still in use),
// records and parts.
func (p *page) cost(kind string) int {
	n, largest := 104*len(p.records)+8*len(p.whom)+p.names+len(kind)+256, 0
	for f := range p.made {
		if t := p.made[f].Load(); t != nil {
			n += cap(t.data) + 24*len(t.parts)
			largest = max(largest, cap(t.data))
		}
	}
	for e := range p.coded {
		if t := p.coded[e].Load(); t != nil {
			n += cap(t.data) + 40*len(t.stretches)
		}
	}
	return n + largest
}
