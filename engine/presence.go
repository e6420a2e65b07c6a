package engine

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/ringbuf"
	"github.com/spatehub/spate/wire"
)

// Types of the events of WithPresence.
const (
	JoinEvent  = "join"  // a user who had no connection has one
	LeaveEvent = "leave" // a user has no connection any more

	// ResetEvent is pushed when a hub starts: who was there before has gone.
	ResetEvent = "reset"
)

// Presence is the data of a join or leave event.
type Presence struct {
	UID string `json:"uid"`
}

// WithPresence tells of users who come and go by events on a topic: one JoinEvent
// when the first connection of a user is there, one LeaveEvent when the last has
// ended, in this order, and kept in the log as others are. Nobody else can push to
// the topic. A hub that closes tells no leaves; a ResetEvent at its next start says
// so. Hubs whose source is a PresenceSource tell of their users together, and push no
// ResetEvent. An invalid topic turns it off, and is said in the log.
func WithPresence(topic string) HubOption { return func(c *config) { c.presence = topic } }

const (
	// maxPresence is how many joins and leaves may wait to be pushed, or to be looked at
	// by who tells a PresenceSource, before no more connections of users are taken. Each
	// leave follows a join, so this and the number of connections bound them.
	maxPresence = 1 << 16
	// presenceBatch is how many make one push, where it may have so many.
	presenceBatch = 128
	presencePause = 100 * time.Millisecond
)

// presence passes what shards see of users on to a goroutine that pushes it: a shard
// must not wait for room in the ring.
type presence struct {
	hub     *Hub
	topic   string
	inbox   ringbuf.Mailbox[change]
	waiting atomic.Int64
	told    chan struct{} // of capacity 1: something is in inbox
}

// change is a user who has come or gone.
type change struct {
	uid    string
	joined bool
}

func newPresence(h *Hub, topic string) *presence {
	return &presence{hub: h, topic: topic, told: make(chan struct{}, 1)}
}

// note is called by a shard. Changes of one user come from one shard, so that their
// order is kept.
func (p *presence) note(uid string, joined bool) {
	p.waiting.Add(1)
	p.inbox.Put(&ringbuf.Node[change]{Value: change{uid, joined}})
	select {
	case p.told <- struct{}{}:
	default:
	}
}

// crowded says whether so much waits that no user is let in.
func (p *presence) crowded() bool { return p != nil && p.waiting.Load() > maxPresence }

// run pushes what comes until the hub ends.
func (p *presence) run() {
	defer p.hub.work.Done()
	if src, is := p.hub.cfg.source.(PresenceSource); is && src.BeginPresence(p.topic) {
		p.runShared(src)
		return
	}
	batch := []*wire.Event{{Event: ResetEvent, Topic: p.topic, Data: struct{}{}}}
	most := min(presenceBatch, p.hub.cfg.queue())
	for {
		if len(batch) > 0 && !p.push(batch) {
			return
		}
		batch = batch[:0]
		for len(batch) < most {
			n := p.inbox.Take()
			if n == nil {
				break
			}
			p.waiting.Add(-1)
			batch = append(batch, PresenceEvent(p.topic, n.Value.uid, n.Value.joined))
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-p.told:
		case <-p.hub.life.stop:
			return
		}
	}
}

// push pushes a batch. What the log does not take, or a hub that follows can't pass
// on, is tried again: nobody has got any of it. An event that cannot be is left out.
// It reports false where the hub closes.
func (p *presence) push(batch []*wire.Event) bool {
	for len(batch) > 0 {
		err := p.hub.publishOwn(p.hub.ctx, batch)
		switch {
		case err == nil:
			return true
		case p.hub.life.refuses():
			return false
		case errors.Is(err, context.DeadlineExceeded):
			return true // of a hub that follows: published or not, and not twice
		case errors.Is(err, ErrTooLarge):
			at := &EventError{} // of a batch of one
			errors.As(err, &at)
			p.hub.cfg.logger.Error("spate: presence of a user cannot be told", "event", batch[at.Index].Event, "err", err)
			batch = slices.Delete(batch, at.Index, at.Index+1)
			continue
		}
		select {
		case <-time.After(presencePause):
		case <-p.hub.life.stop:
			return false
		}
	}
	return true
}

// publishOwn is Publish for events of the hub's own, which are right.
func (h *Hub) publishOwn(ctx context.Context, events []*wire.Event) error {
	if !h.life.enter() {
		return ErrClosed
	}
	defer h.life.leave()
	if h.follow != nil {
		_, err := h.forward(ctx, nil, events)
		return err
	}
	var load parcel
	bufs, err := h.pack(&load, nil, nil, events)
	if err != nil {
		return err
	}
	_, err = h.publish(ctx, &load, bufs, events, nil, waitCommit)
	return err
}

var errPresenceTopic = &wire.FieldError{Field: "topic", Reason: "is the hub's own: it tells of users who come and go there"}

// checkOwnTopic refuses events of others that would pass for the hub's word.
func (h *Hub) checkOwnTopic(events []*wire.Event) error {
	if h.presence == nil {
		return nil
	}
	for i, e := range events {
		if e != nil && e.Topic == h.presence.topic {
			return eventError(errPresenceTopic, i, len(events))
		}
	}
	return nil
}

// correctPresence turns presence off where its topic is none.
func correctPresence(c *config) {
	probe := wire.Event{Topic: c.presence, Data: ""}
	if err := probe.Validate(); err != nil {
		c.logger.Error("spate: no presence: its topic is invalid", "topic", c.presence, "err", err)
		c.presence = ""
	}
}
