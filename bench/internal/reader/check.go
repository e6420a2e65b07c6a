//go:build linux

package reader

import (
	"bytes"

	"github.com/spatehub/spate/loadtest/stamp"
)

// check decides of every event that one stream receives whether it is the next, a late one, a double or not for it.
//
// Invariant: every number below next has been received, was issued before the stream's start, or is in holes.
type check struct {
	index uint32 // user or topic of the stream; 0 for a broadcast
	next  uint64
	holes []hole
}

// hole is numbers that were passed over, both bounds included.
type hole struct{ from, to uint64 }

// maxHoles bounds what one stream keeps; beyond it a late event counts as a double.
const maxHoles = 4096

// skip notes that numbers up to seq-1 were passed over.
func (c *check) skip(seq uint64) {
	if len(c.holes) < maxHoles {
		c.holes = append(c.holes, hole{c.next, seq - 1})
	}
}

// fill reports whether seq had been passed over, and notes that it has come.
func (c *check) fill(seq uint64) bool {
	for i := len(c.holes) - 1; i >= 0; i-- {
		h := &c.holes[i]
		switch {
		case seq < h.from || seq > h.to:
			continue
		case h.from == h.to:
			c.holes = append(c.holes[:i], c.holes[i+1:]...)
		case seq == h.from:
			h.from++
		case seq == h.to:
			h.to--
		default:
			rest := hole{seq + 1, h.to}
			h.to = seq - 1
			c.holes = append(c.holes, rest)
		}
		return true
	}
	return false
}

// missing is how many of the numbers up to issued have not come.
func (c *check) missing(issued uint64) uint64 {
	var n uint64
	for _, h := range c.holes {
		n += h.to - h.from + 1
	}
	if issued >= c.next {
		n += issued - c.next + 1
	}
	return n
}

// known keeps the heads of recent stamps. In a broadcast every stream receives the same bytes, so that a comparison
// tells what otherwise the parser would have to find out again for each.
type known struct {
	slots [knownSlots]knownStamp
}

const (
	knownSlots = 1 << 12
	knownBytes = stamp.MaxHead
)

type knownStamp struct {
	seq  uint64
	sent int64
	size uint32
	head uint32 // bytes of text in use
	text [knownBytes]byte
}

// find returns the stamp at the start of b if it is the known one with number seq.
func (k *known) find(b []byte, seq uint64) *knownStamp {
	s := &k.slots[seq%knownSlots]
	if s.seq == seq && len(b) >= int(s.head) && bytes.Equal(b[:s.head], s.text[:s.head]) {
		return s
	}
	return nil
}

func (k *known) add(b []byte, s *stamp.Stamp, head int) {
	if head > knownBytes {
		return
	}
	slot := &k.slots[s.Seq%knownSlots]
	slot.seq, slot.sent, slot.size, slot.head = s.Seq, s.Sent, s.Size, uint32(head)
	copy(slot.text[:], b[:head])
}
