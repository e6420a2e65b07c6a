package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// Node connects one hub to a cluster:
//
//	node := cluster.NewNode(orderer)
//	hub := engine.NewHub(engine.WithSource(node), engine.WithLog(log), engine.WithEnableResendEvents())
//
// It begins and ends with its hub, and is used for one. The hub's log is a replica:
// it needs no sync.
type Node struct {
	orderer Orderer
	cfg     config
	name    string // of this life, before its tokens
	tokens  atomic.Uint64
	pos     atomic.Uint64 // everything up to this ID is applied
	heads   heads

	onNote   atomic.Pointer[func(engine.Note)]
	presence *presence
	said     func(text []byte) // nil: nobody wants to know
	lost     func()            // likewise

	mu      sync.Mutex
	waiting map[string]*waiter // pushes under way, by token
	health  health
	wasLate bool      // as was told last
	current time.Time // all that was committed before is applied
}

var _ engine.Source = (*Node)(nil)

// NewNode returns a node that follows o.
func NewNode(o Orderer, opts ...Option) *Node {
	n := &Node{orderer: o, cfg: newConfig(opts), name: rand.Text(), waiting: map[string]*waiter{}}
	n.heads.ask = o.Head
	n.health.heard = time.Now()
	n.presence = newPresence(n)
	return n
}

// waiter is a push that waits until this node has applied it.
type waiter struct {
	left int // events that are to come
	ids  []uint64
	done chan struct{} // closed when none is
}

// errUnknown wraps context.DeadlineExceeded or the context's error.
func errUnknown(cause error) error {
	return fmt.Errorf("cluster: whether the events were published is not known: %w", cause)
}

// Assign implements [engine.Source]. It returns when this node has applied the
// events, so that who is told the IDs finds the events here. Where the orderer does
// not answer, it is asked again, with the same token; so a push that failed with a
// context's error may have been published, once.
func (n *Node) Assign(ctx context.Context, uids []string, events []*wire.Event) ([]uint64, error) {
	if err := n.Ready(); err != nil {
		return nil, err
	}
	logged := address(uids, events)
	ctx, cancel := context.WithTimeout(ctx, n.cfg.patience)
	defer cancel()
	if logged == 0 {
		if err := n.orderer.Publish(ctx, "", events); err != nil {
			return nil, fmt.Errorf("%w: %w", engine.ErrUnready, err)
		}
		return make([]uint64, len(events)), nil
	}
	token := n.name + "-" + strconv.FormatUint(n.tokens.Add(1), 36)
	return n.commit(ctx, token, logged, events, func(ctx context.Context) error { return n.orderer.Publish(ctx, token, events) })
}

// address says of each event whom it is for, and returns how many get an ID.
func address(uids []string, events []*wire.Event) (logged int) {
	for _, e := range events {
		if uids != nil {
			e.Users = uids
		}
		if !e.Ephemeral {
			logged++
		}
	}
	return logged
}

// commit publishes events of which so many get an ID, and waits for those here.
func (n *Node) commit(ctx context.Context, token string, logged int, events []*wire.Event, do func(ctx context.Context) error) ([]uint64, error) {
	w := n.await(token, logged)
	defer n.forget(token)
	if err := n.publish(ctx, w, do); err != nil {
		return nil, err
	}
	if logged == 0 {
		return make([]uint64, len(events)), nil
	}
	select {
	case <-w.done:
		return spread(w.ids, events), nil
	case <-ctx.Done():
		return nil, errUnknown(ctx.Err())
	}
}

// publish has the events committed. It tries again, unless the first answer is that
// they are refused.
func (n *Node) publish(ctx context.Context, w *waiter, do func(ctx context.Context) error) error {
	pause := 20 * time.Millisecond
	for first := true; ; first = false {
		try, cancel := context.WithTimeout(ctx, n.cfg.attempt)
		err := do(try)
		cancel()
		if err == nil {
			return nil
		}
		if errors.Is(err, ErrRefused) && first {
			return err
		}
		select {
		case <-w.done: // an earlier try came through
			return nil
		case <-time.After(jitter(pause)):
		case <-ctx.Done():
			return errUnknown(errors.Join(ctx.Err(), err))
		}
		pause = min(2*pause, 500*time.Millisecond)
	}
}

// jitter returns a time around d.
func jitter(d time.Duration) time.Duration { return d/2 + mrand.N(d) }

func (n *Node) await(token string, events int) *waiter {
	w := &waiter{left: events, done: make(chan struct{})}
	n.mu.Lock()
	n.waiting[token] = w
	n.mu.Unlock()
	return w
}

func (n *Node) forget(token string) {
	n.mu.Lock()
	delete(n.waiting, token)
	n.mu.Unlock()
}

// answer tells the pushes that wait for entries that are applied.
func (n *Node) answer(entries []Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.waiting) == 0 {
		return
	}
	for i := range entries {
		e := &entries[i]
		w := n.waiting[e.Token]
		if w == nil || e.ID == 0 || w.left == 0 {
			continue
		}
		w.ids = append(w.ids, e.ID)
		if w.left--; w.left == 0 {
			close(w.done)
		}
	}
}

// spread returns the IDs with a 0 for each ephemeral event.
func spread(ids []uint64, events []*wire.Event) []uint64 {
	all := make([]uint64, len(events))
	for i, e := range events {
		if !e.Ephemeral {
			all[i], ids = ids[0], ids[1:]
		}
	}
	return all
}

// Head implements [engine.Source].
func (n *Node) Head(ctx context.Context) (uint64, error) { return n.heads.get(ctx) }

// Position returns the ID up to which the node has applied everything.
func (n *Node) Position() uint64 { return n.pos.Load() }
