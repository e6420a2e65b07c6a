package cluster

import (
	"context"
	"encoding/json"
	"errors"
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
// for a time (members.go). One that comes back to find itself taken out enters itself
// again, and puts what the stream is about to drop (standing.go).

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
	members  *members // likewise
	topic    string   // set before begun is closed
	begun    chan struct{}
	poked    chan struct{} // of capacity 1: something is in again

	mu    sync.Mutex
	users map[string]*standing // who is here, or has gone and is not told of yet
	again map[string]bool      // users whose values are to be looked at again

	looked uint64 // the highest version of a value that was applied

	// No user's version is lower, and no put of one before; zero: none is known. They may be
	// of users who have gone since.
	lowest uint64
	first  time.Time
}

func newPresence(n *Node) *presence {
	registry, is := n.orderer.(Registry)
	if !is || n.cfg.gone == 0 {
		return nil
	}
	return &presence{
		n: n, registry: registry, met: make(chan struct{}), begun: make(chan struct{}), poked: make(chan struct{}, 1),
		users: map[string]*standing{}, again: map[string]bool{},
	}
}

// Meet says who the other nodes are, so that users of one that is gone leave. It is called
// once, and does nothing without WithPresence.
func (n *Node) Meet(peers *Peers) {
	if n.presence != nil {
		n.presence.peers = peers
		n.presence.members = &members{
			n: n, peers: peers, heard: map[string]time.Time{}, taken: map[string]time.Time{}, named: map[string]time.Time{}, absent: map[string]absence{},
		}
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
	switch st := p.users[uid]; {
	case st != nil:
		st.here = here // also before it can be told, or who has gone would be entered again
	case ready == nil:
		p.users[uid] = &standing{here: here}
	}
	p.mu.Unlock()
	if ready != nil {
		return ready
	}
	return p.settle(ctx, uid, 0, nil)
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
// was read may be old, and what is put is not. Only where gone is given, and what was read
// is as new as the version that was seen, somebody else was faster.
func (p *presence) settle(ctx context.Context, uid string, seen uint64, gone func(node string) bool) error {
	self := p.peers.ID()
	for {
		try, cancel := context.WithTimeout(ctx, p.n.cfg.attempt)
		v, err := p.registry.Value(try, uid)
		if err != nil {
			cancel()
			return err
		}
		here, told := p.standing(uid)
		was := parseWhere(v.Data).Nodes
		if v.Version == 0 {
			was = told // the stream keeps it no more, if there was one
		}
		now := slices.DeleteFunc(slices.Clone(was), func(node string) bool {
			return node == self && !here || node != self && gone != nil && gone(node)
		})
		if here && !slices.Contains(now, self) {
			now = append(now, self)
		}
		if gone != nil && v.Version >= seen && slices.Equal(was, now) {
			cancel()
			return nil
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
