package engine

import (
	"cmp"
	"slices"
	"sync"

	"github.com/spatehub/spate/persist"
)

const (
	// pageRecords and pageBytes bound one reading of the log.
	pageRecords = 1024
	pageBytes   = 256 << 10
	// cacheBytes bounds the pages kept for other clients that read the same.
	cacheBytes = 16 << 20
)

// page is a stretch of the log for one kind of reader: every event for it
// after after and up to upTo. It never changes once made.
type page struct {
	after, upTo eventID
	records     []persist.Record
	data        []byte // the frames, one after the other
	parts       []part
}

func newPage(after eventID, p persist.Page) *page {
	pg := &page{after: after, upTo: eventID(p.UpTo), records: p.Records, parts: make([]part, len(p.Records))}
	size := 0
	for i := range p.Records {
		size += len(p.Records[i].Frame)
	}
	pg.data = make([]byte, 0, size)
	for i := range p.Records {
		r := &pg.records[i]
		start := len(pg.data)
		pg.data = append(pg.data, r.Frame...)
		r.Frame = pg.data[start:len(pg.data):len(pg.data)]
		pg.parts[i] = part{end: len(pg.data), at: point{id: eventID(r.ID)}}
	}
	return pg
}

// span is a range of a page's records.
type span struct{ from, to int }

// within returns the records with after < ID ≤ upTo.
func (p *page) within(after, upTo eventID) span {
	index := func(id eventID) int {
		i, _ := slices.BinarySearchFunc(p.parts, id+1, func(q part, id eventID) int { return cmp.Compare(q.at.id, id) })
		return i
	}
	return span{index(after), index(upTo)}
}

// run makes j the given records of the page, without copying them.
func (p *page) run(j *joined, r span) {
	if r.from >= r.to {
		return
	}
	start := 0
	if r.from > 0 {
		start = p.parts[r.from-1].end
	}
	j.data = p.data[start:p.parts[r.to-1].end]
	j.parts = append(j.parts[:0], p.parts[r.from:r.to]...)
	j.skip = start
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
		order []cached // oldest first
		bytes int
	}
}

type cached struct {
	kind string
	page *page
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
	pc.mu.order = append(pc.mu.order, cached{kind, p})
	pc.mu.bytes += p.cost(kind)
	for pc.mu.bytes > cacheBytes || len(pc.mu.order) > maxCachedPages {
		old := pc.mu.order[0]
		pc.mu.order[0] = cached{}
		pc.mu.order = pc.mu.order[1:]
		pc.mu.bytes -= old.page.cost(old.kind)
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

// cost is about the memory that the page takes in the cache: frames, what the
// log read them into (of which the names are still in use), records and parts.
func (p *page) cost(kind string) int {
	return 2*cap(p.data) + 128*len(p.records) + len(kind) + 256
}
