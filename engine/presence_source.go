package engine

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/spatehub/spate/wire"
)

// PresenceSource is a Source whose hubs tell of users together: one who is connected at
// several joins and leaves once.
type PresenceSource interface {
	Source

	// BeginPresence says on which topic is told of users. Where it returns false, this
	// hub tells of its own users by itself.
	BeginPresence(topic string) bool

	// TellPresence notes that a user has connections at this hub, or has none any more,
	// and has what that means for all hubs be told. It is called by several goroutines,
	// for one user by one after the other, and again where it has failed.
	TellPresence(ctx context.Context, uid string, here bool) error
}

// PresenceEvent returns the event that tells that a user has joined, or left.
func PresenceEvent(topic, uid string, joined bool) *wire.Event {
	e := &wire.Event{Event: LeaveEvent, Topic: topic, Data: Presence{UID: uid}}
	if joined {
		e.Event = JoinEvent
	}
	return e
}

// presenceLanes is how many users are told of at one time to a PresenceSource.
const presenceLanes = 16

// runShared tells what comes to the source, until the hub ends: what is not told then the
// others find out.
func (p *presence) runShared(src PresenceSource) {
	seed := maphash.MakeSeed()
	for {
		var lanes [presenceLanes][]change
		n := 0
		for ; n < presenceBatch; n++ {
			one := p.inbox.Take()
			if one == nil {
				break
			}
			p.waiting.Add(-1)
			lane := maphash.String(seed, one.Value.uid) % presenceLanes
			lanes[lane] = append(lanes[lane], one.Value)
		}
		if n == 0 {
			select {
			case <-p.told:
				continue
			case <-p.hub.life.stop:
				return
			}
		}
		var telling sync.WaitGroup
		for _, lane := range lanes {
			if len(lane) > 0 {
				telling.Go(func() { p.tellShared(src, lane) })
			}
		}
		telling.Wait()
		if p.hub.life.refuses() {
			return
		}
	}
}

// tellShared tells changes to the source, one after the other.
func (p *presence) tellShared(src PresenceSource, changes []change) {
	for _, c := range changes {
		for {
			if p.hub.life.refuses() {
				return
			}
			err := src.TellPresence(p.hub.ctx, c.uid, c.joined)
			if err == nil {
				break
			}
			if errors.Is(err, ErrTooLarge) {
				p.hub.cfg.logger.Error("spate: presence of a user cannot be told", "joined", c.joined, "err", err)
				break
			}
			select {
			case <-time.After(presencePause):
			case <-p.hub.life.stop:
				return
			}
		}
	}
}
