package persist

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spatehub/spate/wire"
)

// maxStorePage is the largest page that a Store is asked for.
const maxStorePage = 1000

// storeEvent is an event of a Store with its ID as a number.
type storeEvent struct {
	id uint64
	*wire.Event
}

// Read implements [Log].
func (l *storeLog) Read(ctx context.Context, after uint64, lim Limit) (Page, error) {
	if err := ctx.Err(); err != nil {
		return Page{}, err
	}
	l.mu.Lock()
	closed, last, sure := l.mu.closed, l.mu.last, l.mu.sure
	sees := storeView{l, l.boundLocked()}
	types := l.typesLocked()
	l.mu.Unlock()
	if closed {
		return Page{}, ErrClosed
	}
	if sure && after >= last {
		return Page{UpTo: after}, nil
	}
	b := NewPageBuilder(after, lim)
	events, upTo, err := sees.merge(ctx, types, after, b.MaxRecords())
	if err != nil {
		return Page{}, readError(err)
	}
	for _, e := range events {
		r, err := RecordOf(e.Event, time.UnixMilli(0))
		if err != nil {
			return Page{}, readError(fmt.Errorf("event %s of the store: %w", e.ID, err))
		}
		if !b.Fits(len(r.Frame)) {
			return b.Page, nil
		}
		b.AddCopy(&r)
	}
	if n := len(b.Page.Records); n > 0 {
		l.saw(b.Page.Records[n-1].ID, upTo == 0)
	}
	if upTo == 0 {
		upTo = last
	}
	b.Reach(upTo)
	return b.Page, nil
}

// saw notes an ID that was read, and whether it was the newest in the Store.
func (l *storeLog) saw(id uint64, newest bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.sure || l.mu.started != 0 && id >= l.mu.started {
		return
	}
	l.mu.last = max(l.mu.last, id)
	l.mu.sure = newest && l.mu.started == 0
}

// storeView is what one read sees of a Store.
type storeView struct {
	*storeLog
	below uint64 // IDs below this
}

// merge returns the events of all types with an ID > after, in order, and up to
// where they are complete: 0 if there are no others. Of each type it reads no more
// than limit.
func (l storeView) merge(ctx context.Context, types []string, after uint64, limit int) ([]storeEvent, uint64, error) {
	var all []storeEvent
	upTo := uint64(0)
	for _, t := range types {
		n := 0
		err := l.list(ctx, t, after, func(e *wire.Event, id uint64) bool {
			if l.counts(id) {
				all = append(all, storeEvent{id, e})
				n++
			}
			if n < limit {
				return true
			}
			if upTo == 0 || id < upTo {
				upTo = id
			}
			return false
		})
		if err != nil {
			return nil, 0, err
		}
	}
	byID := func(a, b storeEvent) int { return cmp.Compare(a.id, b.id) }
	slices.SortStableFunc(all, byID)
	all = slices.CompactFunc(all, func(a, b storeEvent) bool { return a.id == b.id })
	if upTo != 0 {
		end, _ := slices.BinarySearchFunc(all, storeEvent{id: upTo + 1}, byID)
		all = all[:end]
	}
	return all, upTo, nil
}

// counts reports whether the event with this ID is there to be read.
func (l storeView) counts(id uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id >= l.below || l.below == math.MaxUint64 && l.mu.started != 0 && id >= l.mu.started {
		return false
	}
	i, _ := slices.BinarySearchFunc(l.mu.failed, id, func(r idRange, id uint64) int {
		return cmp.Compare(r.to, id)
	})
	return i == len(l.mu.failed) || id < l.mu.failed[i].from
}

// list calls fn for the events of a type with an ID > after, each once and in
// ascending order, until there are no more or fn returns false.
//
// The only thing it relies on is that a page continues after some ID in ascending
// order. It goes on from the highest ID received, never from the next one the
// Store tells: that may be the first of the next page, which asking for what
// follows it would lose. It ends when a page brings nothing higher, since a Store
// may begin again from the start instead of returning an empty page. For the same
// reason a page of lower IDs than asked for is the start of the whole list, through
// which it then follows.
func (l *storeLog) list(ctx context.Context, typ string, after uint64, fn func(e *wire.Event, id uint64) bool) error {
	pos, told := after, after
	restarted := false
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		page, err := l.storePage(ctx, typ, pos)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			if e.id <= told {
				continue
			}
			told = e.id
			if !fn(e.Event, e.id) {
				return nil
			}
		}
		highest := page[len(page)-1].id
		switch {
		case highest > pos:
			pos = highest
		case highest < after && told == after && !restarted:
			pos, restarted = highest, true
		default:
			return nil
		}
	}
}

// storePage asks the Store for one page, and returns it in ascending order.
func (l *storeLog) storePage(ctx context.Context, typ string, after uint64) ([]storeEvent, error) {
	lastID := ""
	if after != 0 {
		lastID = wire.FormatID(after)
	}
	events, _, err := l.store.ListByLastID(ctx, typ, lastID, maxStorePage)
	if err != nil {
		return nil, err
	}
	page := make([]storeEvent, 0, len(events))
	for _, e := range events {
		if e == nil {
			continue
		}
		id, err := wire.ParseID(e.ID)
		if err != nil {
			return nil, fmt.Errorf("event of the store: %w", err)
		}
		page = append(page, storeEvent{id, ownEvent(e)})
	}
	slices.SortStableFunc(page, func(a, b storeEvent) int { return cmp.Compare(a.id, b.id) })
	return page, nil
}

// ownEvent returns a copy of an event, since the Store may go on using it. An
// empty audience is what some databases make of none; a real one is never empty.
func ownEvent(e *wire.Event) *wire.Event {
	c := *e
	c.Users = slices.Clone(e.Users)
	if len(c.Users) == 0 {
		c.Users = nil
	}
	c.Topic, c.Key = strings.Clone(e.Topic), strings.Clone(e.Key)
	return &c
}
