package engine

import (
	"cmp"
	"hash/maphash"
	"slices"

	"github.com/spatehub/spate/persist"
)

// codedPage is a page in one encoding. Clients that begin in its middle share what
// comes behind the stretch that they begin in.
type codedPage struct {
	data      []byte
	stretches []pageStretch
}

// pageStretch is a stretch of a page.
type pageStretch struct {
	span
	at     codedSpan // in data
	frames int       // the bytes of its frames
}

// code makes the page in the encoding, unless somebody has. It returns whether it
// did.
func (p *page) code(h *Hub, encoding int) bool {
	if p.coded[encoding].Load() != nil {
		return false
	}
	t := &codedPage{}
	var cuts cutter
	var frames []byte
	seal := func(to int) {
		if len(frames) > 0 {
			last := &t.stretches[len(t.stretches)-1]
			last.to, last.frames = to, len(frames)
			t.data, last.at = h.appendCoded(t.data, encoding, frames)
			frames = frames[:0]
		}
	}
	for i := range p.records {
		frame := p.records[i].Frame
		if cuts.next(len(frame), i > 0 && p.whom[i] == p.whom[i-1]) {
			seal(i)
			t.stretches = append(t.stretches, pageStretch{span: span{from: i}})
		}
		frames = append(frames, frame...)
	}
	seal(len(p.records))
	t.data = slices.Clip(t.data)
	return p.coded[encoding].CompareAndSwap(nil, t)
}

// stretch returns the index of the stretch that begins with record from and lies in
// the range; -1 where there is none.
func (t *codedPage) stretch(in span) int {
	if t == nil {
		return -1
	}
	i, found := slices.BinarySearchFunc(t.stretches, in.from, func(s pageStretch, from int) int { return cmp.Compare(s.from, from) })
	if !found || t.stretches[i].to > in.to {
		return -1
	}
	return i
}

// audiences tells the records' audiences apart by number; nil where nothing is
// coded. It comes before slim, which takes the names away.
func (h *Hub) audiences(records []persist.Record) []uint64 {
	if len(h.cfg.encodings) == 0 {
		return nil
	}
	whom := make([]uint64, len(records))
	var m maphash.Hash
	m.SetSeed(h.seed)
	for i := range records {
		r := &records[i]
		m.Reset()
		maphash.WriteComparable(&m, r.Topic)
		maphash.WriteComparable(&m, r.Users != nil)
		for _, u := range r.Users {
			maphash.WriteComparable(&m, u)
		}
		whom[i] = m.Sum64()
	}
	return whom
}

// codedSegment gathers the segment's events for a client in a coded form, in ID
// order, and returns the ID up to which it did. Stretches of the shared page that
// nothing of the user's own falls into go out as they lie there. What is coded for the
// client alone is bounded, as in gatherer.full: coding takes long.
func (s *shard) codedSegment(c *client, seg *segment) (upTo eventID) {
	g := &s.gathered.run
	alone := 0 // bytes coded for it
	rest := seg.unread(c.id)
	var shared *codedPage
	if !seg.mixed {
		shared = seg.public.coded[c.form.encoding()].Load()
	}
	var whom uint64 // of the record before
	for !rest.empty() {
		if alone >= 2*maxStretchBytes {
			return upTo
		}
		if i := shared.stretch(rest.public); i >= 0 && rest.ownAfter(shared.stretches[i].to-1) {
			t := &shared.stretches[i]
			g.putStretch(t.at.in(shared.data, c.form), t.frames, func() {
				for _, r := range seg.public.records[t.from:t.to] {
					g.mark(point{id: eventID(r.ID)})
				}
			})
			rest.public.from = t.to
			upTo = eventID(seg.public.records[t.to-1].ID)
			continue
		}
		p, n := rest.next()
		r := &p.records[n]
		upTo = eventID(r.ID)
		s.spend(recordCost(r))
		if c.wish().Admits(whomOf(r)) {
			g.put(point{id: upTo}, r.Frame, p.whom[n] == whom)
			whom = p.whom[n]
			alone += len(r.Frame)
		}
	}
	return seg.upTo
}
