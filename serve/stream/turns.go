package stream

import (
	"context"
	"runtime"
	"sync"
)

// dearQuery is from how many bytes of a query on reading it is dear: it takes a
// millisecond of a processor rather than microseconds.
const dearQuery = 4 << 10

// dearTurns are those of all who bring a dear query, whatever the handler: what they
// would take are the processors. Some of these are left to the others.
var dearTurns = turns{free: max(1, runtime.GOMAXPROCS(0)/2)}

// turns let few work at a time. Those who wait are served by source, each source in
// its turn, so that whoever brings very many keeps back himself alone.
type turns struct {
	mu      sync.Mutex
	free    int
	waiting map[string][]*turn // by source, in order of arrival; none is empty
	order   []string           // the sources of waiting, the next one first
}

// turn is one that waits.
type turn struct {
	granted chan struct{} // closed when it has its turn
	gone    bool          // it waits no more; under the lock of turns
}

// take waits for a turn, which done gives back, or returns ctx's error.
func (t *turns) take(ctx context.Context, source string) (done func(), err error) {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return t.done, nil
	}
	mine := &turn{granted: make(chan struct{})}
	if t.waiting == nil {
		t.waiting = map[string][]*turn{}
	}
	if len(t.waiting[source]) == 0 {
		t.order = append(t.order, source)
	}
	t.waiting[source] = append(t.waiting[source], mine)
	t.mu.Unlock()
	select {
	case <-mine.granted:
		return t.done, nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-mine.granted: // beside
		return t.done, nil
	default:
		mine.gone = true // whoever comes upon it passes it over
		return nil, ctx.Err()
	}
}

// done gives a turn to the next who waits.
func (t *turns) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.order) > 0 {
		source := t.order[0]
		t.order = t.order[1:]
		list := t.waiting[source]
		next := list[0]
		list[0] = nil
		if list = list[1:]; len(list) > 0 {
			t.waiting[source] = list
			t.order = append(t.order, source)
		} else {
			delete(t.waiting, source)
		}
		if !next.gone {
			close(next.granted)
			return
		}
	}
	t.free++
}
