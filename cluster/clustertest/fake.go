// Package clustertest has an orderer in memory whose network fails in every way, for
// tests of what stands on cluster.Orderer, and a test of orderers.
package clustertest

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/wire"
)

// Fake is a stream in memory. A node reaches it through a Port. Its methods may be
// called by any number of goroutines.
type Fake struct {
	mu      sync.Mutex
	cond    *sync.Cond
	rng     *rand.Rand
	origin  uint64
	last    uint64
	floor   uint64 // up to here everything is purged
	kept    []cluster.Entry
	notes   []cluster.Note
	tokens  map[string]bool
	values  map[string]cluster.Value
	changes []cluster.Value // of values, as they were put
	posted  map[string]post
	all     []cluster.Entry // ever committed
	origins []uint64        // of the streams after the first one
	ports   []*Port
	bus     bus
	bound   bound
	marks   []mark
}

// bound is what a stream keeps; zeros are no bounds.
type bound struct {
	ids uint64
	age time.Duration
}

// mark is how far the stream was at a time.
type mark struct {
	last uint64
	at   time.Time
}

// Bound has the stream keep no more than so many IDs, and nothing that is older; zeros are
// no bounds.
func (f *Fake) Bound(ids uint64, age time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bound = bound{ids, age}
}

// trimLocked drops what the stream keeps no more.
func (f *Fake) trimLocked() {
	floor := f.floor
	if f.bound.ids > 0 && f.last > f.origin+f.bound.ids {
		floor = max(floor, f.last-f.bound.ids)
	}
	for f.bound.age > 0 && len(f.marks) > 0 && time.Since(f.marks[0].at) > f.bound.age {
		floor, f.marks = max(floor, f.marks[0].last), f.marks[1:]
	}
	if floor > f.floor {
		f.dropLocked(floor)
	}
}

// dropLocked drops all up to an ID.
func (f *Fake) dropLocked(floor uint64) {
	f.floor = floor
	for len(f.kept) > 0 && f.kept[0].ID <= floor {
		f.kept = f.kept[1:]
	}
	for len(f.changes) > 0 && f.changes[0].Version <= floor {
		f.changes = f.changes[1:]
	}
	maps.DeleteFunc(f.values, func(_ string, v cluster.Value) bool { return v.Version <= floor })
}

// NewFake returns an empty stream with IDs after origin.
func NewFake(seed, origin uint64) *Fake {
	f := &Fake{rng: rand.New(rand.NewPCG(seed, 1)), origin: origin, last: origin, floor: origin, tokens: map[string]bool{}, values: map[string]cluster.Value{}, posted: map[string]post{}}
	f.cond = sync.NewCond(&f.mu)
	return f
}

// Committed returns every entry that was ever committed, in order, also those that are
// purged.
func (f *Fake) Committed() []cluster.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all[:len(f.all):len(f.all)]
}

// Stream returns which of the streams that took each other's place gave an ID, from 0.
func (f *Fake) Stream(id uint64) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, origin := range f.origins {
		if id > origin {
			n++
		}
	}
	return n
}

// Purge removes the oldest events, but for the newest keep, and the values before them.
func (f *Fake) Purge(keep int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch n := len(f.kept) - keep; {
	case keep == 0:
		f.dropLocked(f.last)
	case n > 0:
		f.dropLocked(f.kept[n-1].ID)
	}
}

// Recreate puts an empty stream in the place of this one, with an origin so far above.
func (f *Fake) Recreate(above uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.origin = f.last + above
	f.origins = append(f.origins, f.origin)
	f.last, f.floor, f.kept, f.tokens, f.values, f.changes = f.origin, f.origin, nil, map[string]bool{}, map[string]cluster.Value{}, nil
	f.breakAllLocked()
}

func (f *Fake) breakAllLocked() {
	for _, p := range f.ports {
		p.broken++
	}
	f.cond.Broadcast()
}

// Failures is how often, in 1000 calls, a port fails in which way.
type Failures struct {
	LostRequest int           // a publish does not arrive
	LostAnswer  int           // it does, and the answer is lost
	Late        int           // it does, after the caller has given up
	Repeat      int           // a page begins before what was asked for
	Break       int           // the following ends
	Stale       int           // a value is the one before
	Slow        time.Duration // answers take up to so long, and overtake each other
}

// Port is the way of one node to the stream.
type Port struct {
	f        *Fake
	failures Failures
	cut      bool
	hushed   bool
	broken   int // rises when what is under way ends
	late     sync.WaitGroup
}

var _ cluster.Noter = (*Port)(nil)

// Port returns a new way to the stream.
func (f *Fake) Port(failures Failures) *Port {
	p := &Port{f: f, failures: failures}
	f.mu.Lock()
	f.ports = append(f.ports, p)
	f.mu.Unlock()
	return p
}

// Cut cuts the node off, or connects it again.
func (p *Port) Cut(cut bool) {
	p.f.mu.Lock()
	p.cut = cut
	p.broken++
	p.f.cond.Broadcast()
	p.f.mu.Unlock()
}

// SetFailures changes how it fails from now on.
func (p *Port) SetFailures(failures Failures) {
	p.f.mu.Lock()
	p.failures = failures
	p.f.mu.Unlock()
}

// Wait waits until no publish is under way that nobody waits for.
func (p *Port) Wait() { p.late.Wait() }

var (
	errLost  = errors.New("clustertest: no answer")
	errBreak = errors.New("clustertest: the following broke off")
)

// chance is true so often in 1000 times.
func (f *Fake) chance(n int) bool { return n > 0 && f.rng.IntN(1000) < n }

// reach waits as long as the network takes; it fails where the node is cut off.
func (p *Port) reach(ctx context.Context) error {
	p.f.mu.Lock()
	cut, slow := p.cut, time.Duration(0)
	if p.failures.Slow > 0 {
		slow = time.Duration(p.f.rng.Int64N(int64(p.failures.Slow)))
	}
	p.f.mu.Unlock()
	if cut {
		<-ctx.Done()
		return ctx.Err()
	}
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Origin implements cluster.Orderer.
func (p *Port) Origin(ctx context.Context) (uint64, error) {
	if err := p.reach(ctx); err != nil {
		return 0, err
	}
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	return p.f.origin, nil
}

// Head implements cluster.Orderer.
func (p *Port) Head(ctx context.Context) (uint64, error) {
	if err := p.reach(ctx); err != nil {
		return 0, err
	}
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	if p.f.chance(p.failures.LostRequest) {
		return 0, errLost
	}
	return p.f.last, nil
}

// Publish implements cluster.Orderer.
func (p *Port) Publish(ctx context.Context, token string, events []*wire.Event) error {
	return p.publish(ctx, token, nil, events)
}

// PublishNoted implements cluster.Noter.
func (p *Port) PublishNoted(ctx context.Context, token string, note []byte, events []*wire.Event) error {
	return p.publish(ctx, token, note, events)
}

// Notes implements cluster.Noter.
func (p *Port) Notes(ctx context.Context, since time.Time, fn func(cluster.Note) error) error {
	if err := p.reach(ctx); err != nil {
		return err
	}
	p.f.mu.Lock()
	notes := p.f.notes[:len(p.f.notes):len(p.f.notes)]
	p.f.mu.Unlock()
	for _, n := range notes {
		if n.Time.Before(since) {
			continue
		}
		if err := fn(n); err != nil {
			return err
		}
	}
	return nil
}

// publish is Publish, with a note unless that is nil.
func (p *Port) publish(ctx context.Context, token string, note []byte, events []*wire.Event) error {
	return p.submit(ctx, func() error {
		p.f.commitLocked(token, note, events)
		return nil
	})
}

// submit has something be committed, as far as the network lets it.
func (p *Port) submit(ctx context.Context, commitLocked func() error) error {
	if err := p.reach(ctx); err != nil {
		return err
	}
	f := p.f
	f.mu.Lock()
	switch {
	case f.chance(p.failures.LostRequest):
		f.mu.Unlock()
		return errLost
	case f.chance(p.failures.Late):
		wait := time.Duration(f.rng.IntN(30)) * time.Millisecond
		f.mu.Unlock()
		p.late.Go(func() {
			time.Sleep(wait)
			f.mu.Lock()
			defer f.mu.Unlock()
			_ = commitLocked()
		})
		return errLost
	}
	err := commitLocked()
	lost := f.chance(p.failures.LostAnswer)
	f.mu.Unlock()
	if lost {
		return errLost
	}
	return errors.Join(err, p.reach(ctx))
}

func (f *Fake) commitLocked(token string, note []byte, events []*wire.Event) {
	if f.tokens[token] {
		return
	}
	if token != "" {
		f.tokens[token] = true
	}
	hole := func() uint64 { return uint64(f.rng.IntN(10) / 9 * f.rng.IntN(5)) }
	if note != nil {
		f.last += 1 + hole()
		f.notes = append(f.notes, cluster.Note{ID: f.last, Token: token, Time: time.Now(), Data: note})
		hole = func() uint64 { return 0 }
	}
	for _, e := range events {
		if e.Ephemeral {
			continue // nobody promises that they arrive
		}
		f.last += 1 + hole()
		entry := cluster.Entry{ID: f.last, Token: token, Event: e}
		f.kept = append(f.kept, entry)
		f.all = append(f.all, entry)
	}
	f.marks = append(f.marks, mark{f.last, time.Now()})
	f.trimLocked()
	f.cond.Broadcast()
}

// Follow implements cluster.Orderer.
func (p *Port) Follow(ctx context.Context, after uint64, fn func(cluster.Page) error) error {
	f := p.f
	defer context.AfterFunc(ctx, func() {
		f.mu.Lock()
		f.cond.Broadcast()
		f.mu.Unlock()
	})()
	f.mu.Lock()
	broken := p.broken
	f.mu.Unlock()
	for {
		f.mu.Lock()
		for ctx.Err() == nil && broken == p.broken && !p.cut && after >= f.last {
			f.cond.Wait()
		}
		if ctx.Err() != nil || broken != p.broken || p.cut || f.chance(p.failures.Break) {
			f.mu.Unlock()
			return errBreak
		}
		page := f.pageLocked(after, f.chance(p.failures.Repeat))
		f.mu.Unlock()
		if err := fn(page); err != nil {
			return err
		}
		after = page.UpTo
	}
}

// pageLocked returns some of what follows, from before it where it repeats.
func (f *Fake) pageLocked(after uint64, repeat bool) cluster.Page {
	i := 0
	for i < len(f.kept) && f.kept[i].ID <= after {
		i++
	}
	page := cluster.Page{After: max(after, f.floor)}
	if repeat && i > 0 && after >= f.floor {
		i -= 1 + f.rng.IntN(min(i, 5))
		page.After = f.kept[i].ID - 1
	}
	n := min(len(f.kept)-i, 1+f.rng.IntN(50))
	page.Entries = f.kept[i : i+n : i+n]
	if page.UpTo = f.last; i+n < len(f.kept) {
		page.UpTo = f.kept[i+n-1].ID
	}
	for _, note := range f.notes {
		if note.ID > page.After && note.ID <= page.UpTo {
			page.Notes = append(page.Notes, note)
		}
	}
	for _, v := range f.changes {
		if v.Version > page.After && v.Version <= page.UpTo {
			page.Values = append(page.Values, v)
		}
	}
	return page
}
