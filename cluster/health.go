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
	ever   bool      // caught was true once
	target uint64    // the ID that makes it so; 0: not known
	failed error     // why nothing can be applied; nil: it can
	moved  time.Time // when a page came last
}

// Reasons for which a node is not ready.
var (
	errCatchingUp = fmt.Errorf("%w: it has not caught up with its cluster", engine.ErrUnready)
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
		return errSilent
	case !h.caught:
		return errCatchingUp
	}
	return nil
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
		h.moved = h.heard
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
		h.caught, h.ever = true, true
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
		quiet := time.Since(h.heard) >= n.cfg.beat/2 || h.silent || h.target == 0
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
		n.fallSilent(hub)
	}
}

// stuck says whether the cluster is further than this node and nothing comes.
func (n *Node) stuck(head uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return head > n.pos.Load() && n.health.failed == nil && time.Since(n.health.moved) > n.cfg.beat+500*time.Millisecond
}

// fallSilent notes that the cluster did not answer.
func (n *Node) fallSilent(hub *engine.Hub) {
	n.mu.Lock()
	h := &n.health
	falls := !h.silent && time.Since(h.heard) >= n.cfg.silence
	if falls {
		h.silent, h.caught, h.target = true, false, 0
		n.cfg.logger.Error("cluster: nothing is heard; pushes are refused", "since", h.heard)
	}
	n.mu.Unlock()
	if falls && n.cfg.policy == EndStreams {
		hub.Dismiss(engine.ErrClosed)
	}
}

var errStreamBehind = errors.New("the stream ends before what this hub has: it was restored or made anew with IDs that were given out already; give it a higher base")
