package engine

import (
	"context"
	"errors"
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
	// for one user by one after the other, and again where it has failed. An error that
	// wraps ErrUnready says of a user who is here that nothing was noted; after any
	// other one nobody knows.
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

// longestPresencePause is the longest pause after a failure, where nothing succeeds for
// some time: all users may be told of again after it.
const longestPresencePause = 5 * time.Second

// presenceLanes is how many users are told of at one time to a PresenceSource.
const presenceLanes = 16

// runShared tells a PresenceSource of users, until the hub ends: what is not told then the
// others find out.
func (p *presence) runShared(src PresenceSource) {
	work, done := make(chan change), make(chan told, presenceLanes)
	var working sync.WaitGroup
	for range presenceLanes {
		working.Go(func() {
			for c := range work {
				select {
				case done <- told{c, src.TellPresence(p.hub.ctx, c.uid, c.joined)}:
				case <-p.hub.ctx.Done(): // done may be full, and is read no more
				}
			}
		})
	}
	defer working.Wait()
	defer close(work)
	t := tellings{users: map[string]*telling{}}
	for {
		for n := p.inbox.Take(); n != nil; n = p.inbox.Take() {
			p.waiting.Add(-1)
			t.note(n.Value)
		}
		if p.hub.life.refuses() {
			return
		}
		out := work
		next, is := t.next()
		if !is {
			out = nil
		}
		select {
		case out <- next:
			t.queue = t.queue[1:]
		case o := <-done:
			if errors.Is(o.err, ErrTooLarge) {
				p.hub.cfg.logger.Error("spate: presence of a user cannot be told", "joined", o.joined, "err", o.err)
				o.err = nil
			}
			t.end(o)
		case <-p.told:
		case <-t.wake:
			t.goOn()
		case <-p.hub.life.stop:
			return
		}
	}
}

// told is what has become of telling the source of a user.
type told struct {
	change
	err error
}

// tellings are the users of whom a PresenceSource is told. Of each it matters how he is
// now, not how often he has come and gone: so what waits is bounded by who is here, and by
// whom the source takes to be here, however long it is away. They are one goroutine's.
type tellings struct {
	users map[string]*telling // who is here, or of whom the source may think so
	queue []string            // users to be told of
	later []string            // those of whom it has failed, until wake
	wake  <-chan time.Time    // nil: nothing has failed of late
	pause time.Duration       // until wake, the next time; 0: presencePause
	away  bool                // the source is not ready: until wake nobody is told of
}

// telling is one user.
type telling struct {
	here   bool // as the shard has said last
	told   bool // as the source was told last
	unsure bool // that it knows so
	busy   bool // he is in queue or later, or is being told of
}

// note takes what a shard says.
func (t *tellings) note(c change) {
	u := t.users[c.uid]
	if u == nil {
		u = &telling{}
		t.users[c.uid] = u
	}
	u.here = c.joined
	if !u.busy {
		t.enqueue(c.uid, u, &t.queue)
	}
}

// due says whether something is to be told of a user.
func (u *telling) due() bool { return u.here != u.told || u.unsure }

// enqueue puts a user into a queue, if something is to be told of him.
func (t *tellings) enqueue(uid string, u *telling, queue *[]string) {
	if u.busy = u.due(); u.busy {
		*queue = append(*queue, uid)
	} else if !u.here {
		delete(t.users, uid)
	}
}

// next returns what is to be told next, of the first of the queue.
func (t *tellings) next() (c change, is bool) {
	for !t.away && len(t.queue) > 0 {
		uid := t.queue[0]
		u := t.users[uid]
		if u.due() {
			return change{uid, u.here}, true
		}
		t.queue = t.queue[1:] // he has come back, or gone again
		t.enqueue(uid, u, &t.queue)
	}
	return c, false
}

// end takes how telling of a user has ended.
func (t *tellings) end(o told) {
	u := t.users[o.uid]
	if o.err == nil {
		u.told, u.unsure, t.pause = o.joined, false, 0
		t.enqueue(o.uid, u, &t.queue)
		return
	}
	away := errors.Is(o.err, ErrUnready)
	t.away = t.away || away
	u.unsure = u.unsure || !away || !o.joined
	t.enqueue(o.uid, u, &t.later)
	if t.wake == nil {
		t.pause = min(max(2*t.pause, presencePause), longestPresencePause)
		t.wake = time.After(t.pause)
	}
}

// goOn has those told of again of whom it has failed.
func (t *tellings) goOn() {
	t.queue, t.later = append(t.queue, t.later...), nil
	t.wake, t.away = nil, false
}
