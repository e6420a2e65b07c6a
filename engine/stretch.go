package engine

// This file cuts events into stretches, the units that are coded: events that
// follow each other and have the same audience, within bounds. Never are events of
// different audiences coded together: who chooses what one of them says would learn
// of the other by how short the two become.

const (
	// maxStretchBytes and maxStretchEvents bound a stretch, but for a single event
	// that is larger: what a client that stalls is owed, and how much of a page has to
	// be coded again for one that begins in its middle.
	maxStretchBytes  = 32 << 10
	maxStretchEvents = 256
)

// cutter says where stretches begin.
type cutter struct{ bytes, events int }

// next says whether a frame of that size begins a new stretch; same says that its
// event has the audience of the one before.
func (c *cutter) next(size int, same bool) (cut bool) {
	cut = c.events == 0 || !same || c.events == maxStretchEvents || c.bytes+size > maxStretchBytes
	if cut {
		*c = cutter{}
	}
	c.bytes += size
	c.events++
	return cut
}

// codedBatch is the batch of a fan-out in the encodings asked for so far. Clients
// that get one event of a stretch get all, having the same rights to each: so each
// stretch is coded once, whoever gets it together with which others.
type codedBatch struct {
	events    []position
	stretches []batchStretch
	codings   [maxEncodings]batchCoding
	frames    []byte // of the stretch being coded
}

// batchStretch is a stretch of a batch.
type batchStretch struct {
	from, to int // events[from:to]
	frames   int // their bytes
}

// batchCoding is a batch in one encoding: of each stretch coded so far where it
// lies in buf.
type batchCoding struct {
	buf   []byte
	spans []codedSpan // end is 0 where it is not coded yet
}

// reset forgets the batch.
func (b *codedBatch) reset() {
	b.events, b.stretches = b.events[:0], b.stretches[:0]
	for i := range b.codings {
		k := &b.codings[i]
		if cap(k.buf) > sendBytes {
			k.buf = nil
		}
		k.buf, k.spans = k.buf[:0], k.spans[:0]
	}
}

// cutBatch finds the stretches of the events from..to that concern the shard,
// unless that is done.
func (s *shard) cutBatch(from, to position) {
	b := &s.fan.coded
	if len(b.stretches) > 0 {
		return
	}
	var cuts cutter
	var before *entry
	for seq := from; ; seq++ {
		if e := s.hub.slot(seq); !e.failed && e.mask&s.bit != 0 {
			size := len(e.frame())
			if cuts.next(size, before != nil && sameAudience(before, e)) {
				b.stretches = append(b.stretches, batchStretch{from: len(b.events)})
			}
			b.events = append(b.events, seq)
			last := &b.stretches[len(b.stretches)-1]
			last.to, last.frames = len(b.events), last.frames+size
			before = e
		}
		if seq == to {
			return
		}
	}
}

// stretchIn returns stretch i of the batch in a coded form.
func (s *shard) stretchIn(i int, f Form) []byte {
	b := &s.fan.coded
	k := &b.codings[f.encoding()]
	for len(k.spans) < len(b.stretches) {
		k.spans = append(k.spans, codedSpan{})
	}
	if k.spans[i].end == 0 {
		b.frames = b.frames[:0]
		for _, seq := range b.events[b.stretches[i].from:b.stretches[i].to] {
			b.frames = append(b.frames, s.hub.slot(seq).frame()...)
		}
		k.buf, k.spans[i] = s.hub.appendCoded(k.buf, f.encoding(), b.frames)
		s.spend(writeCost + codeCost*len(b.frames))
	}
	return k.spans[i].in(k.buf, f)
}

// joinCoded joins in a coded form what the events from..to of the batch have for
// clients with these bits, or for all where everybody is set.
func (s *shard) joinCoded(j *joined, f Form, from, to position, bits uint64, everybody bool) {
	s.cutBatch(from, to)
	for i, t := range s.fan.coded.stretches {
		events := s.fan.coded.events[t.from:t.to]
		if !everybody && bits&(1<<(events[0]-from)) == 0 {
			continue
		}
		for _, seq := range events {
			j.mark(point{pos: seq})
			j.ids = j.ids || !s.hub.slot(seq).ephemeral()
		}
		j.addStretch(s.stretchIn(i, f), t.frames)
	}
}

// gatherer makes a run for one client, in its form. The run is whole after finish.
type gatherer struct {
	joined
	hub    *Hub
	form   Form
	cuts   cutter
	frames []byte // of the stretch that has begun, in a coded form
	buf    []byte // what is coded
	cost   int    // of coding
}

// begin begins an empty run.
func (g *gatherer) begin(f Form) {
	g.joined.reset()
	if cap(g.buf) > sendBytes {
		g.buf = nil
	}
	g.form, g.cuts, g.cost = f, cutter{}, 0
	g.frames, g.buf = g.frames[:0], g.buf[:0]
}

// full says whether the run is as long as one write should be. What is coded for
// one client alone takes much longer.
func (g *gatherer) full() bool {
	if g.form.coded() {
		return g.plain+len(g.frames) >= 2*maxStretchBytes
	}
	return len(g.data) >= sendBytes
}

// put adds an event as it is in the form; in a coded form that is its plain frame.
// same says that it has the audience of the one before.
func (g *gatherer) put(at point, frame []byte, same bool) {
	if !g.form.coded() {
		g.add(at, frame)
		return
	}
	if g.cuts.next(len(frame), same) {
		g.seal()
	}
	g.frames = append(g.frames, frame...)
	g.mark(at)
}

// putStretch adds a stretch that is coded already, whose events are marked by mark.
func (g *gatherer) putStretch(coded []byte, frames int, mark func()) {
	g.seal()
	g.cuts = cutter{}
	mark()
	g.addStretch(coded, frames)
}

// seal codes the stretch that has begun.
func (g *gatherer) seal() {
	if len(g.frames) == 0 {
		return
	}
	buf, at := g.hub.appendCoded(g.buf, g.form.encoding(), g.frames)
	g.buf = buf
	n := len(g.frames)
	g.addStretch(at.in(buf, g.form), n)
	g.cost += writeCost + codeCost*n
	g.frames = g.frames[:0]
}

// finish makes the run whole.
func (g *gatherer) finish() *joined {
	g.seal()
	return &g.joined
}
