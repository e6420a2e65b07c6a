package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	mrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// Users join and leave a cluster once, wherever they are connected. The stream has a value
// for each user: at which nodes it is. Who changes that puts the event that it means into
// the same batch, which is added only where nobody has changed the value meanwhile: who
// makes the first node of it tells a join, who takes the last one away a leave.
//
// A node that is gone is taken out of the values by the others, once it has not been heard
// for a time. One that comes back to find itself taken out enters itself again.

// DefaultGone is after which time without a word a node counts as gone.
const DefaultGone = 20 * time.Second

// WithPresence has the hubs of a cluster tell of users together (engine.WithPresence),
// where the orderer is a Registry; Node.Meet has to be called. A node that was not heard
// for gone (0: DefaultGone; at least a second) has no users any more.
func WithPresence(gone time.Duration) Option {
	return func(c *config) {
		if c.gone = DefaultGone; gone > 0 {
			c.gone = max(gone, time.Second)
		}
	}
}

var _ engine.PresenceSource = (*Node)(nil)

// presence is what a node does for it. It is nil where hubs tell each of its own users.
type presence struct {
	n        *Node
	registry Registry
	met      chan struct{} // closed once peers is set
	peers    *Peers
	topic    string // set before begun is closed
	begun    chan struct{}
	poked    chan struct{} // of capacity 1: something is in again

	mu    sync.Mutex
	here  map[string]time.Time // users with connections here, and when their values were put last
	again map[string]bool      // users whose values are to be looked at again
}

func newPresence(n *Node) *presence {
	registry, is := n.orderer.(Registry)
	if !is || n.cfg.gone == 0 {
		return nil
	}
	return &presence{
		n: n, registry: registry, met: make(chan struct{}), begun: make(chan struct{}), poked: make(chan struct{}, 1),
		here: map[string]time.Time{}, again: map[string]bool{},
	}
}

// Meet says who the other nodes are, so that users of one that is gone leave. It is called
// once, and does nothing without WithPresence.
func (n *Node) Meet(peers *Peers) {
	if n.presence != nil {
		n.presence.peers = peers
		close(n.presence.met)
	}
}

// BeginPresence implements [engine.PresenceSource].
func (n *Node) BeginPresence(topic string) bool {
	if n.presence == nil {
		return false
	}
	n.presence.topic = topic
	close(n.presence.begun)
	return true
}

// TellPresence implements [engine.PresenceSource].
func (n *Node) TellPresence(ctx context.Context, uid string, here bool) error {
	p := n.presence
	select {
	case <-p.met:
	case <-ctx.Done():
		return ctx.Err()
	}
	ready := n.Ready()
	p.mu.Lock()
	switch {
	case !here:
		delete(p.here, uid) // also before it can be told, or he would be entered again
	case ready == nil:
		p.here[uid] = time.Time{}
	}
	p.mu.Unlock()
	if ready != nil {
		return ready
	}
	return p.settle(ctx, uid, nil)
}

// where is the value of a user.
type where struct {
	Nodes []string `json:"nodes"`
}

func parseWhere(data []byte) (w where) {
	if json.Unmarshal(data, &w) != nil {
		return where{} // of nobody that we know
	}
	return w
}

// settle has the value of a user say whether it is here, and, unless gone is nil, that it
// is not at nodes which are gone. It puts the value also where it says so already: what
// was read may be old, and what is put is not.
func (p *presence) settle(ctx context.Context, uid string, gone func(node string) bool) error {
	self := p.peers.ID()
	for {
		try, cancel := context.WithTimeout(ctx, p.n.cfg.attempt)
		v, err := p.registry.Value(try, uid)
		if err != nil {
			cancel()
			return err
		}
		was := parseWhere(v.Data).Nodes
		p.mu.Lock()
		_, here := p.here[uid]
		p.mu.Unlock()
		now := slices.DeleteFunc(slices.Clone(was), func(node string) bool {
			return node == self && !here || node != self && gone != nil && gone(node)
		})
		if here && !slices.Contains(now, self) {
			now = append(now, self)
		}
		if gone != nil && slices.Equal(was, now) {
			cancel()
			return nil // somebody else was faster
		}
		err = p.registry.Change(try, uid, v.Version, mustJSON(where{now}), p.events(uid, was, now))
		cancel()
		switch {
		case errors.Is(err, ErrChanged):
			continue
		case err != nil:
			return err
		}
		if p.settled(uid, here) {
			return nil
		}
	}
}

// settled notes that the value of a user says whether it is here; false: that has changed.
func (p *presence) settled(uid string, here bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, is := p.here[uid]; is != here {
		return false
	}
	if here {
		p.here[uid] = time.Now()
	}
	return true
}

// events are what a change means.
func (p *presence) events(uid string, was, now []string) []*wire.Event {
	if (len(was) == 0) == (len(now) == 0) {
		return nil
	}
	e := engine.PresenceEvent(p.topic, uid, len(was) == 0)
	e.Data = mustJSON(e.Data)
	return []*wire.Event{e}
}

// mustJSON is the text of what always has one.
func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// look sees whether values that were applied say what is true of this node.
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
		if _, here := p.here[v.Name]; here && !slices.Contains(parseWhere(v.Data).Nodes, self) {
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

// renew has the values of all users that are here looked at again: of those that were put
// before a time. What was put may be gone from the stream, or will soon.
func (p *presence) renew(before time.Time) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for uid, put := range p.here {
		if !put.IsZero() && put.Before(before) {
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
	m := members{n: p.n, peers: p.peers, heard: map[string]time.Time{}, taken: map[string]time.Time{}}
	renewed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.poked:
			p.lookAgain(ctx)
			continue
		case <-time.After(jitter(min(helloEvery, p.n.cfg.gone/4))):
		}
		if lasts := p.registry.Lasts(); lasts > 0 && time.Since(renewed) > lasts/12 {
			renewed = time.Now()
			p.renew(renewed.Add(-lasts / 4))
		}
		if gone, due := m.due(); due && p.sweep(ctx, &m) == nil {
			m.done(gone)
		}
	}
}

// lookAgain settles the users that are marked. Where one fails, it stays so.
func (p *presence) lookAgain(ctx context.Context) {
	p.mu.Lock()
	some := p.again
	p.again = map[string]bool{}
	p.mu.Unlock()
	failed := p.settleAll(ctx, slices.Collect(maps.Keys(some)), nil)
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
func (p *presence) settleAll(ctx context.Context, uids []string, gone func(string) bool) (failed []string) {
	var working sync.WaitGroup
	var mu sync.Mutex
	work := make(chan string)
	for range 16 {
		working.Go(func() {
			for uid := range work {
				if err := p.settle(ctx, uid, gone); err != nil && !errors.Is(err, ErrRefused) {
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

// sweepTime bounds the reading of all values.
const sweepTime = time.Minute

// sweep takes nodes that are gone out of all values.
func (p *presence) sweep(ctx context.Context, m *members) error {
	found := map[string]bool{}
	reading, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	err := p.registry.Values(reading, func(v Value) error {
		delete(found, v.Name)
		for _, node := range parseWhere(v.Data).Nodes {
			if m.isGone(node) {
				found[v.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	uids := slices.Collect(maps.Keys(found))
	mrand.Shuffle(len(uids), func(i, k int) { uids[i], uids[k] = uids[k], uids[i] }) // the others do it too
	if failed := p.settleAll(ctx, uids, m.isGone); len(failed) > 0 {
		return errors.New("cluster: not all users of nodes that are gone have left")
	}
	if len(uids) > 0 {
		p.n.cfg.logger.Info("cluster: users of hubs that are gone", "users", len(uids))
	}
	return nil
}

// members is who has been heard.
type members struct {
	n     *Node
	peers *Peers

	mu    sync.Mutex
	heard map[string]time.Time // nodes, last; those that are found in values and not known, as if then
	taken map[string]time.Time // nodes that are in no value any more, and when they had been heard last
	swept bool
}

// isGone says whether a node is gone. Who has not heard the cluster itself for as long
// knows nothing of others.
func (m *members) isGone(node string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, is := m.heard[node]
	if heard, now := m.peers.heard(node); now && heard.After(last) && heard.After(m.taken[node]) {
		last, is = heard, true
	}
	if node == m.peers.ID() || !is {
		last = time.Now()
	}
	m.heard[node] = last
	return time.Since(last) >= m.n.cfg.gone && m.n.steady() >= m.n.cfg.gone
}

// due says whether the values are to be looked through: at first, to see who there is, and
// when somebody has gone.
func (m *members) due() (gone []string, due bool) {
	for _, one := range m.peers.List() {
		if m.again(&one) {
			m.isGone(one.ID)
		}
	}
	m.mu.Lock()
	maps.DeleteFunc(m.taken, func(node string, _ time.Time) bool { _, is := m.peers.heard(node); return !is })
	gone = slices.Collect(maps.Keys(m.heard))
	swept := m.swept
	m.mu.Unlock()
	gone = slices.DeleteFunc(gone, func(node string) bool { return !m.isGone(node) })
	return gone, m.n.Ready() == nil && (!swept || len(gone) > 0)
}

// again says whether a node was heard after it was taken out of the values, if it was.
func (m *members) again(one *Peer) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return one.Heard.After(m.taken[one.ID])
}

// done notes that nodes which are gone are in no value any more.
func (m *members) done(gone []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.swept = true
	for _, node := range gone {
		m.taken[node] = m.heard[node]
		delete(m.heard, node)
	}
}
