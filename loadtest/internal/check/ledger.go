// Package check decides for every event that a stream receives whether it is
// the next one, a late one, a double or not for this stream at all, and at the
// end of a run which events never came.
//
// Events are numbered from 1 within a cell: one publishing connection (lane)
// and one target (everyone, a user, a topic). A lane sends one request after
// the other, so within a cell the order of the numbers is the order in which
// the server accepted the events, and a stream has to see them in that order.
// Numbering a target across lanes would not do: two requests under way at once
// may be accepted in either order.
package check

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/spatehub/spate/loadtest/stamp"
)

// Space is the extent of a run's numbering.
type Space struct {
	Lanes, Users, Topics int
}

// Targets is the number of targets: everyone, each user, each topic.
func (s Space) Targets() int { return 1 + s.Users + s.Topics }

// Cells is the number of separately numbered sequences.
func (s Space) Cells() int { return s.Lanes * s.Targets() }

// Bytes is the memory that a ledger of this space takes.
func (s Space) Bytes() int { return 8 * s.Cells() }

// target returns the index of a target, false if there is no such target.
func (s Space) target(kind stamp.Kind, index uint32) (int, bool) {
	switch {
	case kind == stamp.Broadcast && index == 0:
		return 0, true
	case kind == stamp.User && index < uint32(s.Users):
		return 1 + int(index), true
	case kind == stamp.Topic && index < uint32(s.Topics):
		return 1 + s.Users + int(index), true
	}
	return 0, false
}

// Ledger holds the last number issued in every cell. The publisher writes it,
// streams read it, also from other processes by way of shared memory.
type Ledger struct {
	Space
	// A cell's number is stored before the event with it is sent. So whoever
	// has received an event finds at least its number here, and an event whose
	// number is above what was found here when a stream had joined is owed to
	// that stream.
	cells []atomic.Uint64
	// far means that the publisher is another program: the cells stay empty,
	// the first number seen in a cell begins it and the last one ends it.
	far bool
	// remote means that the publisher is on another machine but begins only after
	// Begin: until then nothing has been issued. What it has issued in the end,
	// Settle tells.
	remote  bool
	begun   atomic.Bool // stored by Begin, read by streams that join
	settled []uint64    // nil before Settle; read by Finish only, which comes after it
}

// NewRemoteLedger is the ledger of streams whose publisher is this run's, on another
// machine.
func NewRemoteLedger(s Space) *Ledger {
	return &Ledger{Space: s, far: true, remote: true}
}

// Far reports whether it is not known here what has been issued so far.
func (l *Ledger) Far() bool { return l.far }

// Begin tells that publishing may begin.
func (l *Ledger) Begin() { l.begun.Store(true) }

// Settle tells what has been issued, of a remote ledger, cell by cell.
func (l *Ledger) Settle(issued []uint64) {
	if l.remote && len(issued) == l.Cells() {
		l.settled = issued
	}
}

// Issued is the last number of each cell.
func (l *Ledger) Issued() []uint64 {
	list := make([]uint64, len(l.cells))
	for i := range l.cells {
		list[i] = l.cells[i].Load()
	}
	return list
}

// knows reports whether issued is right at this moment.
func (l *Ledger) knows() bool { return !l.far || l.remote && !l.begun.Load() }

// final is the last number of a cell once all is over; ok is false if it is not
// known.
func (l *Ledger) final(lane, target int) (n uint64, ok bool) {
	switch i := lane*l.Targets() + target; {
	case !l.far:
		return l.cells[i].Load(), true
	case l.settled != nil:
		return l.settled[i], true
	}
	return 0, false
}

// NewLedger returns an empty ledger in this process's memory.
func NewLedger(s Space) *Ledger {
	return &Ledger{Space: s, cells: make([]atomic.Uint64, s.Cells())}
}

// NewFarLedger is the ledger of a run whose publisher is another program.
func NewFarLedger(s Space) *Ledger {
	return &Ledger{Space: s, far: true}
}

// LedgerIn uses mem, which must be aligned to 8 bytes and at least s.Bytes()
// long, and outlive the ledger.
func LedgerIn(mem []byte, s Space) (*Ledger, error) {
	if len(mem) < s.Bytes() || s.Cells() == 0 {
		return nil, fmt.Errorf("ledger: %d bytes for %d cells", len(mem), s.Cells())
	}
	return &Ledger{Space: s, cells: unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&mem[0])), s.Cells())}, nil
}

// Issue returns the next number of a cell. Only the lane's own goroutine may
// call it for a lane.
func (l *Ledger) Issue(lane int, kind stamp.Kind, index uint32) uint64 {
	t, ok := l.target(kind, index)
	if !ok {
		panic(fmt.Sprintf("ledger: no target %c%d", kind, index))
	}
	c := &l.cells[lane*l.Targets()+t]
	n := c.Load() + 1 // the lane is the only writer
	c.Store(n)
	return n
}

// Total is the number of events issued in all cells.
func (l *Ledger) Total() uint64 {
	var n uint64
	for i := range l.cells {
		n += l.cells[i].Load()
	}
	return n
}

// issued is the last number of a cell.
func (l *Ledger) issued(lane, target int) uint64 {
	if l.far {
		return 0
	}
	return l.cells[lane*l.Targets()+target].Load()
}

// Voids lists numbers that were issued but not accepted by the server, by cell:
// nobody is owed them. Build it with Add, in rising order within a cell.
type Voids map[uint32][]Range

// Range is the numbers From to To, both included.
type Range struct{ From, To uint64 }

// Add notes that number n of a cell is void.
func (v Voids) Add(s Space, lane int, kind stamp.Kind, index uint32, n uint64) {
	t, ok := s.target(kind, index)
	if !ok {
		return
	}
	cell := uint32(lane*s.Targets() + t)
	list := v[cell]
	if k := len(list); k > 0 && list[k-1].To+1 == n {
		list[k-1].To = n
		return
	}
	v[cell] = append(list, Range{n, n})
}

// count is how many numbers between from and to of a cell are void.
func (v Voids) count(cell uint32, from, to uint64) uint64 {
	var n uint64
	for _, r := range v[cell] {
		if lo, hi := max(r.From, from), min(r.To, to); lo <= hi {
			n += hi - lo + 1
		}
	}
	return n
}
