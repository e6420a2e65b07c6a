// Package plan says which event of a benchmark goes to whom.
package plan

import (
	"math/rand/v2"

	"github.com/spatehub/spate/loadtest/stamp"
)

// Plan says which event goes to whom: the publisher and the reader follow the same one, so the reader knows how many
// events each index must have got after any number of them. Users and topics take turns in a drawn order, so that
// neighbours in memory are not neighbours in time.
type Plan struct {
	Kind  stamp.Kind
	order []uint32 // whose turn it is
	turn  []uint32 // the reverse: at which place of a round an index has its turn
}

// New returns the plan for n users or topics; for a Broadcast n does not matter.
func New(kind stamp.Kind, n int) *Plan {
	if kind == stamp.Broadcast {
		n = 1
	}
	p := &Plan{Kind: kind, order: make([]uint32, n), turn: make([]uint32, n)}
	for place, index := range rand.New(rand.NewPCG(uint64(n), uint64(kind))).Perm(n) {
		p.order[place] = uint32(index)
		p.turn[index] = uint32(place)
	}
	return p
}

// Targets is the number of users or topics, 1 for a broadcast.
func (p *Plan) Targets() int { return len(p.order) }

// Event returns the index and the number, among the events for that index, of event i; the first is 0.
func (p *Plan) Event(i uint64) (index uint32, seq uint64) {
	n := uint64(len(p.order))
	return p.order[i%n], i/n + 1
}

// Issued returns how many of the first total events are for index.
func (p *Plan) Issued(index uint32, total uint64) uint64 {
	n := uint64(len(p.order))
	issued := total / n
	if uint64(p.turn[index]) < total%n {
		issued++
	}
	return issued
}
