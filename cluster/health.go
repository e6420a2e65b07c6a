package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spatehub/spate/engine"
)

// health is what a node knows of itself. It is guarded by the node's mu.
type health struct {
	heard  time.Time // of the cluster, last
	silent bool      // too long ago
	caught bool      // what others had when the node began, or heard again, is applied
	since  time.Time // when caught came to be true
	ever   bool      // caught was true once
	target uint64    // the ID that makes it so; 0: not known
	failed error     // why nothing can be applied; nil: it can
	moved  time.Time // when a page came last

	// goal is an ID that others had at a time, and that this node had not; 0: none. Where
	// it takes long to get there, the node is stuck, or slower than its cluster.
	goal   uint64
	goalAt time.Time
	asked  time.Time // the head, last
	why    error     // the following ended last, or nothing is heard; nil once a page came
}

// Reasons for which a node is not ready.
var (
	errCatchingUp = fmt.Errorf("%w: it has not caught up with its cluster", engine.ErrUnready)
	errLate       = fmt.Errorf("%w: it does not keep up with its cluster", engine.ErrUnready)
	errSilent     = fmt.Errorf("%w: it hears nothing of its cluster", engine.ErrUnready)
)

// Ready implements [engine.Source].
func (n *Node) Ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch h := &n.health; {
	case h.failed != nil:
		return fmt.Errorf("%w: %w", engine.ErrUnready, h.failed)
	case h.silent:
		return because(errSilent, h.why)
	case !h.caught:
		return because(errCatchingUp, h.why)
	case n.lateLocked():
		return because(errLate, h.why)
	}
	return nil
}

// because adds a reason to an error, if there is one.
func because(err, why error) error {
	if why == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, why)
}

// lateLocked says whether what others had some time ago has not been applied.
func (n *Node) lateLocked() bool {
	h := &n.health
	return h.goal > n.pos.Load() && time.Since(h.goalAt) > n.cfg.silence
}

// steady is for how long the node has heard the cluster; 0: it does not.
func (n *Node) steady() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := &n.health; h.caught && !h.silent {
		return time.Since(h.since)
	}
	return 0
}

// Admit implements [engine.Source]. A node that was never up to date would send
// what is old as if it were new.
func (n *Node) Admit() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch h := &n.health; {
	case !h.ever:
		return errCatchingUp
	case n.cfg.policy == EndStreams && h.silent:
		return errSilent
	case n.cfg.policy == EndStreams && !h.caught:
		return errCatchingUp
	}
	return nil
}

// hear notes a word from the cluster: a page, or, where head is not 0, how far it is.
func (n *Node) hear(head uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := &n.health
	h.heard = time.Now()
	if head == 0 {
		h.moved, h.why = h.heard, nil
	}
	late := n.wasLate
	if n.wasLate = n.lateLocked(); n.wasLate && !late {
		n.cfg.logger.Error("cluster: this hub does not keep up; it is not ready", "position", n.pos.Load(), "behind", h.goal, "since", h.goalAt, "why", h.why)
	} else if late && !n.wasLate {
		n.cfg.logger.Info("cluster: this hub keeps up again", "position", n.pos.Load())
	}
	if head != 0 {
		h.asked = h.heard
		if pos := n.pos.Load(); h.goal <= pos && head > pos {
			h.goal, h.goalAt = head, h.heard
		}
	}
	if head != 0 {
		if h.silent {
			n.cfg.logger.Info("cluster: heard again")
			h.silent = false
		}
		if h.target == 0 {
			h.target = head
		}
	}
	if !h.caught && h.target != 0 && n.pos.Load() >= h.target {
		h.caught, h.ever, h.since = true, true, time.Now()
		n.cfg.logger.Info("cluster: caught up", "position", n.pos.Load())
	}
}

// fail notes why nothing can be applied, or, with nil, that it can.
func (n *Node) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if (err == nil) != (n.health.failed == nil) {
		if err != nil {
			n.cfg.logger.Error("cluster: nothing can be applied", "position", n.pos.Load(), "err", err)
		} else {
			n.cfg.logger.Info("cluster: events are applied again")
		}
	}
	n.health.failed = err
}

// askEvery is how many beats pass at most before the head is asked for, so that a node
// to which much comes knows how far behind it is.
const askEvery = 3

// watch sees whether the cluster is heard, and asks it for a word where nothing comes
// by itself. restart has the following begin anew. It ends with ctx.
func (n *Node) watch(ctx context.Context, hub *engine.Hub, restart func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(jitter(n.cfg.beat)):
		}
		n.mu.Lock()
		h := &n.health
		quiet := time.Since(h.heard) >= n.cfg.beat/2 || h.silent || h.target == 0 || time.Since(h.asked) >= askEvery*n.cfg.beat
		n.mu.Unlock()
		if !quiet {
			continue
		}
		try, cancel := context.WithTimeout(ctx, n.cfg.beat)
		head, err := n.heads.get(try)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			n.hear(head)
			if n.stuck(head) {
				restart()
			}
			continue
		}
		n.fallSilent(hub, err)
	}
}

// stuck says whether the cluster is further than this node and nothing comes.
func (n *Node) stuck(head uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return head > n.pos.Load() && n.health.failed == nil && time.Since(n.health.moved) > n.cfg.beat+500*time.Millisecond
}

// fallSilent notes that the cluster did not answer, and why.
func (n *Node) fallSilent(hub *engine.Hub, why error) {
	n.mu.Lock()
	h := &n.health
	if h.why == nil {
		h.why = why
	}
	falls := !h.silent && time.Since(h.heard) >= n.cfg.silence
	if falls {
		h.silent, h.caught, h.target, h.goal = true, false, 0, 0
		n.cfg.logger.Error("cluster: nothing is heard; pushes are refused", "since", h.heard, "why", h.why)
	}
	n.mu.Unlock()
	if falls && n.cfg.policy == EndStreams {
		hub.Dismiss(engine.ErrClosed)
	}
}

var errStreamBehind = errors.New("the stream ends before what this hub has: it was restored or made anew with IDs that were given out already; give it a higher base")
