package engine

import (
	"math"

	"github.com/spatehub/spate/wire"
	"github.com/valyala/bytebufferpool"
)

// parcel is what a push knows before it claims slots: what is claimed holds up
// everybody behind it, so all that can be done before is. It is the publisher's,
// and refers to nothing of the caller's, so that it lies on the stack.
type parcel struct {
	shared bool // whom holds for every event
	whom   receivers
	each   []receivers // else the events' own; nil: all are for everyone
	held   int64       // bytes that the ring will hold
	logged int         // events that are not ephemeral
	any    bool        // events of any size: whoever published them has looked at it
	urgent bool        // one of them must not linger, so that none does
}

// pack encodes the events into buffers, which it adds to bufs, and resolves
// whom they are for. On error it has given the buffers back.
func (h *Hub) pack(p *parcel, bufs []*bytebufferpool.ByteBuffer, uids []string, events []*wire.Event) ([]*bytebufferpool.ByteBuffer, error) {
	p.whom = receivers{mask: h.all}
	if p.shared = uids != nil; p.shared {
		p.whom = h.audienceOf(uids)
	}
	for i, e := range events {
		most := h.cfg.maxEvent
		if p.any {
			most = math.MaxInt
		}
		b, err := h.encode(e, most)
		if err != nil {
			h.putBack(bufs)
			return nil, eventError(err, i, len(events))
		}
		bufs = append(bufs, b)
		if !e.Ephemeral {
			p.logged++
		}
		if !p.shared && e.Users != nil {
			if p.each == nil {
				p.each = make([]receivers, len(events))
			}
			p.each[i] = h.audienceOf(e.Users)
		}
		p.urgent = p.urgent || h.isUrgent(p.audience(i).private, e.Topic)
		p.held += p.heldBy(b, e, i, len(events))
	}
	return bufs, nil
}

func (h *Hub) putBack(bufs []*bytebufferpool.ByteBuffer) {
	for _, b := range bufs {
		h.frames.put(b)
	}
}

// audience returns whom event i is for.
func (p *parcel) audience(i int) *receivers {
	if p.each != nil && p.each[i].private {
		return &p.each[i]
	}
	return &p.whom
}

// counts says whether event i of n is the one that its crowd is counted with: of
// a crowd that the events share, the last, which is the last to go.
func (p *parcel) counts(i, n int) bool { return !p.shared || i == n-1 }

// heldBy returns the bytes that the slot of event i of n will hold.
func (p *parcel) heldBy(b *bytebufferpool.ByteBuffer, e *wire.Event, i, n int) int64 {
	a := p.audience(i)
	c := a.crowd
	if !p.counts(i, n) {
		c = nil
	}
	return heldBytes(b, e.Topic, e.Key, a.one, c)
}

// fillSlots hands the parcel to the slots claimed from first on, and returns the
// shards concerned.
// From Publish on the slots belong to the readers.
func (h *Hub) fillSlots(first position, ids *numbering, p *parcel, bufs []*bytebufferpool.ByteBuffer, events []*wire.Event, wait *commitWait) (mask uint64) {
	for i, ev := range events {
		e := h.slot(first + position(i))
		e.buf = bufs[i]
		e.id, e.prev = ids.next(i, ev.Ephemeral)
		e.seal()
		a := p.audience(i)
		e.one[0], e.crowd, e.private, e.mask = a.one, a.crowd, a.private, a.mask
		e.counted = p.counts(i, len(events))
		e.topic, e.key = ev.Topic, ev.Key
		h.topicFigures.count(ev.Topic, len(e.frame()))
		if wait != nil {
			e.wait.Store(wait)
		}
		e.last, e.urgent = i == len(events)-1, p.urgent
		e.failed = ids.mark != 0
		e.tally.Store(uint64(len(h.shards)))
		mask |= a.mask
	}
	return mask
}
