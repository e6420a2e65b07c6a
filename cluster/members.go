package cluster

import (
	"context"
	"errors"
	"maps"
	mrand "math/rand/v2"
	"slices"
	"sync"
	"time"
)

// sweepTime bounds the reading of all values.
const sweepTime = time.Minute

// sweep takes nodes that are gone out of all values.
func (p *presence) sweep(ctx context.Context, m *members) error {
	found := map[string]uint64{} // versions
	reading, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	err := p.registry.Values(reading, func(v Value) error {
		delete(found, v.Name)
		for _, node := range parseWhere(v.Data).Nodes {
			if m.isGone(node) {
				found[v.Name] = v.Version
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	uids := slices.Collect(maps.Keys(found))
	mrand.Shuffle(len(uids), func(i, k int) { uids[i], uids[k] = uids[k], uids[i] }) // the others do it too
	if failed := settleAll(uids, func(uid string) error { return p.settle(ctx, uid, found[uid], m.isGone) }); len(failed) > 0 {
		return errors.New("cluster: not all users of nodes that are gone have left")
	}
	if len(uids) > 0 {
		p.n.cfg.logger.Info("cluster: users of hubs that are gone", "users", len(uids))
	}
	return nil
}

// members is who has been heard, or named.
type members struct {
	n     *Node
	peers *Peers

	mu    sync.Mutex
	heard map[string]time.Time // nodes, last; those that values name and that are not known, as if then
	taken map[string]time.Time // nodes that are in no value any more, and when they had been heard last
	named map[string]time.Time // nodes of heard: by a value that was applied, last
	swept bool

	absent map[string]absence // nodes that were taken, and not heard since
}

// absence is what is known of a node that was taken out of the values and not heard since.
// If values name it again, it is there, and what it says to others is lost: each time that
// it is taken nevertheless, all of its users leave, and join again. So that is put off.
type absence struct {
	taken time.Time     // last
	wait  time.Duration // after which time without a word it counts as gone the next time
}

// maxAbsence bounds how long a node is waited for that values name and that is not heard.
const maxAbsence = time.Hour

// name notes nodes that a value names: also one that was never heard has to be found gone.
func (m *members) name(nodes []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for _, node := range nodes {
		if node == m.peers.ID() {
			continue
		}
		if _, is := m.heard[node]; !is {
			m.heard[node] = now
		}
		m.named[node] = now
	}
}

// isGone says whether a node is gone. Who has not heard the cluster itself for as long
// knows nothing of others.
func (m *members) isGone(node string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, is := m.heard[node]
	if heard, now := m.peers.heard(node); now && heard.After(last) && heard.After(m.taken[node]) {
		last, is = heard, true
		delete(m.absent, node)
	}
	if node == m.peers.ID() || !is {
		last = time.Now()
	}
	m.heard[node] = last
	return time.Since(last) >= max(m.n.cfg.gone, m.absent[node].wait) && m.n.steady() >= m.n.cfg.gone
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
	maps.DeleteFunc(m.absent, func(node string, a absence) bool {
		_, is := m.heard[node]
		return !is && time.Since(a.taken) > maxAbsence
	})
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

// done notes that nodes which are gone were taken out of all values since a time. One that
// was named meanwhile may have entered itself again.
func (m *members) done(gone []string, began time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.swept = true
	for _, node := range gone {
		m.absentLocked(node)
		m.taken[node] = m.heard[node]
		if m.named[node].Before(began) {
			delete(m.heard, node)
			delete(m.named, node)
		} else {
			m.heard[node] = time.Now()
		}
	}
}

// absentLocked notes that a node was taken out of the values, and has the next time wait:
// at first as long, for it may have been killed since, and then twice as long each time.
func (m *members) absentLocked(node string) {
	a, again := m.absent[node]
	a.taken, a.wait = time.Now(), min(max(2*a.wait, m.n.cfg.gone), max(maxAbsence, m.n.cfg.gone))
	m.absent[node] = a
	if again {
		m.n.cfg.logger.Warn("cluster: a hub changes values and is not heard: its users leave, and join again if it is there", "hub", node, "not before", a.wait)
	}
}
