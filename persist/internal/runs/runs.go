// Package runs has the list of runs that a log remembers.
package runs

import (
	"slices"
	"sort"
)

// Run is what one start of a hub has issued: the IDs from First to Last. Last is 0
// while the run is open: it then reaches to the newest record.
type Run struct{ First, Last uint64 }

// List is the runs of a log.
//
// Invariant: ascending and disjoint; only the last one is open.
type List []Run

// Begin returns the list with a new run, the run before it closed at last, the newest
// record there is; or without that run, where it has no record. ended and gone are
// what became of it, nil if it is not concerned.
func (l List) Begin(first, last uint64) (with List, ended, gone *Run) {
	l = slices.Clone(l)
	if n := len(l); n > 0 && l[n-1].Last == 0 {
		open := l[n-1]
		if last >= open.First {
			open.Last = last
			l[n-1] = open
			ended = &open
		} else {
			l = l[:n-1]
			gone = &open
		}
	}
	return append(l, Run{First: first}), ended, gone
}

// Open returns the open run, if there is one.
func (l List) Open() (Run, bool) {
	if n := len(l); n > 0 && l[n-1].Last == 0 {
		return l[n-1], true
	}
	return Run{}, false
}

// In reports whether id lies in a run, where the open one reaches to last.
func (l List) In(id, last uint64) bool {
	i := sort.Search(len(l), func(i int) bool { return l[i].First > id }) - 1
	if i < 0 {
		return false
	}
	if l[i].Last != 0 {
		last = l[i].Last
	}
	return id <= last
}

// Before reports whether id lies before the first run. Of such IDs the list says
// nothing: they are from before there were runs.
func (l List) Before(id uint64) bool { return len(l) == 0 || id < l[0].First }

// Passed returns how many of the first runs end below the floor. The one that ends
// with it stays: who names its last ID has missed nothing.
func (l List) Passed(floor uint64) int {
	n := 0
	for n < len(l) && l[n].Last != 0 && l[n].Last < floor {
		n++
	}
	return n
}
