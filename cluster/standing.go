package cluster

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// standing is what a node knows of a user of its own.
type standing struct {
	here    bool      // he has connections here
	nodes   []string  // where the value that was applied last says that he is
	version uint64    // of that value; 0: there was none yet
	put     time.Time // when this node put one last
}

// standing returns whether a user is here, and at which nodes he was told to be.
func (p *presence) standing(uid string) (here bool, nodes []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if st := p.users[uid]; st != nil {
		return st.here, st.nodes
	}
	return false, nil
}

// settled notes that the value of a user says whether he is here; false: that has changed.
func (p *presence) settled(uid string, here bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.users[uid]
	if is := st != nil && st.here; is != here {
		return false
	}
	if here {
		st.put = time.Now()
		p.boundLocked(st)
	} else {
		delete(p.users, uid)
	}
	return true
}

// look sees whether values that were applied say what is true of this node, and which
// others they name.
func (p *presence) look(values []Value) {
	if p == nil || len(values) == 0 {
		return
	}
	select {
	case <-p.met:
	default:
		return
	}
	self := p.peers.ID()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range values {
		nodes := parseWhere(v.Data).Nodes
		p.members.name(nodes)
		st := p.users[v.Name]
		switch fresh := v.Version > p.looked; { // else it comes again
		case st != nil && v.Version > st.version:
			st.version, st.nodes = v.Version, nodes
			p.boundLocked(st)
		case st == nil && fresh && slices.Contains(nodes, self):
			p.again[v.Name] = true // put before he left, or by a node that did not know of it
		case st == nil && fresh:
			delete(p.again, v.Name)
		}
		p.looked = max(p.looked, v.Version)
	}
	for _, v := range values {
		if st := p.users[v.Name]; st != nil && st.here && !slices.Contains(st.nodes, self) {
			p.again[v.Name] = true
		}
	}
	p.pokeLocked()
}

func (p *presence) pokeLocked() {
	if len(p.again) > 0 {
		select {
		case p.poked <- struct{}{}:
		default:
		}
	}
}

// loses has all users that are here told of anew: what was told of them is lost.
func (p *presence) loses() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked = 0 // another stream may begin with low ones
	p.renewLocked(func(st *standing) bool {
		st.nodes, st.version = nil, 0
		return !st.put.IsZero()
	})
}

// keep has the values of users that are here put again before the stream keeps them no
// more, and those that it does not keep already.
//
// That a value was put is seen in its version only once it was applied here, which may
// take long: it is not put again before renewPause.
func (p *presence) keep(kept Kept) {
	now := time.Now()
	aged := func(put time.Time) bool {
		return kept.Age > 0 && !put.IsZero() && now.Sub(put) > kept.Age/4
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !kept.near(p.lowest) && !aged(p.first) {
		return
	}
	p.lowest, p.first = 0, time.Time{}
	p.renewLocked(func(st *standing) bool {
		p.boundLocked(st)
		return kept.near(st.version) && now.Sub(st.put) >= renewPause || aged(st.put)
	})
}

// renewPause is the least time between two puts of a value because the stream drops it.
const renewPause = 10 * time.Second

// boundLocked has lowest and first be no more than those of a user.
func (p *presence) boundLocked(st *standing) {
	if p.lowest == 0 || st.version != 0 && st.version < p.lowest {
		p.lowest = st.version
	}
	if p.first.IsZero() || !st.put.IsZero() && st.put.Before(p.first) {
		p.first = st.put
	}
}

// renewLocked has the values of those who are here, and of whom due says so, looked at again.
func (p *presence) renewLocked(due func(*standing) bool) {
	for uid, st := range p.users {
		if due(st) && st.here {
			p.again[uid] = true
		}
	}
	p.pokeLocked()
}

// run looks after the values, until ctx ends.
func (p *presence) run(ctx context.Context) {
	for _, c := range []chan struct{}{p.met, p.begun} {
		select {
		case <-c:
		case <-ctx.Done():
			return
		}
	}
	m := p.members
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.poked:
			p.lookAgain(ctx)
			continue
		case <-time.After(jitter(min(helloEvery, p.n.cfg.gone/4))):
		}
		p.keep(p.registry.Kept())
		began := time.Now()
		if gone, due := m.due(); due && p.sweep(ctx, m) == nil {
			m.done(gone, began)
		}
	}
}

// lookAgain settles the users that are marked. Where one fails, it stays so.
func (p *presence) lookAgain(ctx context.Context) {
	p.mu.Lock()
	some := p.again
	p.again = map[string]bool{}
	p.mu.Unlock()
	failed := settleAll(slices.Collect(maps.Keys(some)), func(uid string) error { return p.settle(ctx, uid, 0, nil) })
	if len(failed) == 0 {
		return
	}
	select {
	case <-time.After(jitter(200 * time.Millisecond)):
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, uid := range failed {
		p.again[uid] = true
	}
	p.pokeLocked()
}

// settleAll settles users, some at one time, and returns those of whom it has failed.
func settleAll(uids []string, settle func(uid string) error) (failed []string) {
	var working sync.WaitGroup
	var mu sync.Mutex
	work := make(chan string)
	for range 16 {
		working.Go(func() {
			for uid := range work {
				if err := settle(uid); err != nil && !errors.Is(err, ErrRefused) {
					mu.Lock()
					failed = append(failed, uid)
					mu.Unlock()
				}
			}
		})
	}
	for _, uid := range uids {
		work <- uid
	}
	close(work)
	working.Wait()
	return failed
}
