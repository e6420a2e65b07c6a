package engine

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/wire"
)

// This file asks connections to come back, here or elsewhere: all of them in turn
// before the hub ends, single ones for their age, those of a user, or one.

// Disconnection says which connections are to be ended, and how they are told. Exactly
// one of All, UID and ID is to be set.
type Disconnection struct {
	All bool
	UID string
	ID  ConnectionID

	// Over spreads the ends of All evenly over a time; 0 is at once, as are the ends of
	// those that have got nothing yet because their shard has not come to where they begin.
	Over time.Duration

	// Patience is how long, after Over, those of All that have something waiting are
	// given to take it. What waits then is lost to the connection, not to the client,
	// which resumes.
	Patience time.Duration

	// RetryMin and RetryMax are the window of the reconnection time that each
	// connection is told, at random, in whole milliseconds; 0 and 0 tell none. So
	// those that are told together do not come back together.
	RetryMin, RetryMax time.Duration

	// Reason is what they are told: ErrReconnect, which nil stands for, ErrRevoked,
	// ErrExpired or ErrClosed.
	Reason error
}

func (d *Disconnection) validate() error {
	ways := 0
	for _, set := range []bool{d.All, d.UID != "", d.ID != 0} {
		if set {
			ways++
		}
	}
	switch {
	case ways != 1:
		return &wire.FieldError{Field: "disconnection", Reason: "names exactly one of all, a user, and a connection"}
	case d.RetryMin < 0 || d.RetryMax < d.RetryMin:
		return &wire.FieldError{Field: "retry", Reason: "is no window: it ends before it begins"}
	case d.Reason != nil && farewells[endingOf(d.Reason)].silent():
		return &wire.FieldError{Field: "reason", Reason: "is none that a connection is told"}
	case d.Over < 0 || d.Patience < 0:
		return &wire.FieldError{Field: "over", Reason: "is negative"}
	}
	return nil
}

// retry draws a reconnection time; 0 is none.
func (d *Disconnection) retry() time.Duration {
	if d.RetryMax == 0 {
		return 0
	}
	return d.RetryMin + rand.N(d.RetryMax-d.RetryMin+time.Millisecond)
}

// Disconnect ends connections that are there now, each with a disconnect event, and
// returns how many it has told, also with an error. It returns when all are; ctx ends
// the telling. Those that come while it is under way stay.
//
// A connection that has nothing waiting is told in its turn, another one once it has
// caught up. Errors: ErrClosed, ctx's, *wire.FieldError.
func (h *Hub) Disconnect(ctx context.Context, d Disconnection) (told int, err error) {
	if err := d.validate(); err != nil {
		return 0, err
	}
	if d.Reason == nil {
		d.Reason = ErrReconnect
	}
	switch {
	case d.UID != "":
		return h.disconnectOne(ctx, h.shards[h.shardOf(d.UID)], d.ofUser())
	case d.ID != 0:
		if uint64(d.ID)>>(serialBits+shardBits)<<(serialBits+shardBits) != h.lifeMark || int(d.ID&(1<<shardBits-1)) >= len(h.shards) {
			return 0, nil
		}
		return h.disconnectOne(ctx, h.shards[d.ID&(1<<shardBits-1)], d.ofID())
	}
	var all sync.WaitGroup
	turns := make([]*turn, len(h.shards))
	errs := make([]error, len(h.shards))
	for i, s := range h.shards {
		turns[i] = &turn{d: d}
		all.Go(func() { errs[i] = h.errand(ctx, s, turns[i].step) })
	}
	all.Wait()
	for i := range turns {
		told += int(turns[i].told.Load())
	}
	return told, cmp.Or(errs...)
}

// disconnectOne runs an errand that counts whom it has told.
func (h *Hub) disconnectOne(ctx context.Context, s *shard, step func(s *shard, end int, told *toldCount) progress) (int, error) {
	var told toldCount
	err := h.errand(ctx, s, func(s *shard, end int) progress { return step(s, end, &told) })
	return int(told.Load()), err
}

// toldCount is how many a shard has told. Where the telling has ended with an error, the
// shard may be at it still.
type toldCount struct{ atomic.Int64 }

// ofUser ends a user's connections, those that wait for their place among them.
func (d *Disconnection) ofUser() func(s *shard, end int, told *toldCount) progress {
	begun, upTo := false, uint64(0)
	var early []*client // that waited when it began, and are still to be looked at
	var passed *client  // it and those before it came later, and are not meant
	return func(s *shard, end int, told *toldCount) progress {
		if !begun {
			begun, upTo, early = true, s.serial, s.early.all()
			s.spend(8 * len(early))
		}
		for ; len(early) > 0; early = early[1:] {
			if s.reached(end) {
				return errandMore
			}
			s.spend(lookCost)
			if c := early[0]; c.uid == d.UID && s.endWaiting(c, d) {
				told.Add(1)
			}
		}
		c := s.books.users.Get(d.UID)
		if passed != nil && passed.enrolled() {
			c = s.books.older(passed)
		}
		for c != nil {
			if s.cost >= end {
				return errandMore
			}
			s.spend(lookCost)
			next := s.books.older(c)
			if c.serial <= upTo {
				s.dismissWith(c, d.Reason, d.retry())
				told.Add(1)
			} else {
				passed = c
			}
			c = next
		}
		return errandDone
	}
}

// endWaiting ends a connection that waited for its place, and may have found it since.
// One that still waits has got nothing, and is told nothing. It returns whether it was
// there.
func (s *shard) endWaiting(c *client, d *Disconnection) bool {
	switch {
	case c.state == stateNew:
		s.close(c, d.Reason)
	case c.enrolled():
		s.dismissWith(c, d.Reason, d.retry())
	default:
		return false
	}
	return true
}

// ofID ends one connection.
func (d *Disconnection) ofID() func(s *shard, end int, told *toldCount) progress {
	serial := uint64(d.ID) >> shardBits & (1<<serialBits - 1)
	pos := -1
	return func(s *shard, end int, told *toldCount) progress {
		if pos < 0 || pos > len(s.books.clients) {
			pos = len(s.books.clients)
		}
		for pos > 0 {
			if s.cost >= end {
				return errandMore
			}
			pos--
			s.spend(lookCost)
			if c := s.books.clients[pos]; c.serial == serial {
				s.dismissWith(c, d.Reason, d.retry())
				told.Add(1)
				return errandDone
			}
		}
		return errandDone
	}
}

// turn is one shard's part of telling all connections in turn.
type turn struct {
	d    Disconnection
	told toldCount

	looked    bool      // at who waits for its place
	waiting   []*client // these, still to be told
	early     int       // of these, told
	begun     bool      // with those in the books
	begin     uint32    // tick
	over, all uint32    // ticks of the telling, and of all
	upTo      uint64    // serial: later ones are not meant
	n         int       // how many there were
	pos       int       // in s.books.clients, downwards; see Hub.list
	missed    int       // that have something waiting, in this round
}

// step tells as many as are due at this tick: of n connections, n·t/over at t.
func (t *turn) step(s *shard, end int) progress {
	if !t.endEarly(s, end) {
		return errandMore
	}
	if !t.begun {
		if s.hub.shut.Load() {
			s.emptied = &t.d
		}
		t.begun, t.begin, t.upTo, t.n, t.pos = true, s.tick, s.serial, len(s.books.clients), len(s.books.clients)
		if t.d.Over > 0 {
			t.over = s.hub.ticksOf(t.d.Over)
		}
		t.all = t.over
		if t.d.Patience > 0 {
			t.all += s.hub.ticksOf(t.d.Patience)
		}
	}
	gone := s.tick - t.begin
	due, force := t.n, gone >= t.all
	if gone < t.over {
		due = int((uint64(t.n)*uint64(gone+1) + uint64(t.over) - 1) / uint64(t.over))
	}
	for t.pos = min(t.pos, len(s.books.clients)); t.pos > 0; {
		if int(t.told.Load())-t.early+t.missed >= due && !force {
			return errandTick
		}
		if s.cost >= end {
			return errandMore
		}
		t.pos--
		s.spend(lookCost)
		c := s.books.clients[t.pos]
		if c.serial <= t.upTo && s.awaitsRun(c) {
			s.letGoNow() // to all, as many end; then it shows who can take it
			t.pos = min(t.pos, len(s.books.clients))
		}
		switch {
		case c.serial > t.upTo, !c.enrolled():
		case c.live() || force:
			s.dismissWith(c, t.d.Reason, t.d.retry())
			t.told.Add(1)
		default:
			t.missed++
		}
	}
	if t.missed == 0 {
		return errandDone
	}
	t.missed, t.pos = 0, len(s.books.clients) // again for those that had something waiting
	if force {
		return errandMore
	}
	return errandTick
}

// endEarly tells those that wait for their place, all at the beginning: once they have
// one they look as if they came later. Those that find theirs meanwhile are in the books
// before the telling there begins. It returns whether they are done with.
func (t *turn) endEarly(s *shard, end int) (done bool) {
	if !t.looked {
		t.looked, t.waiting = true, s.early.all()
		s.spend(8 * len(t.waiting))
	}
	for ; len(t.waiting) > 0; t.waiting = t.waiting[1:] {
		if s.cost >= end {
			return false
		}
		s.spend(lookCost)
		if s.endEarly(t.waiting[0], t.d.Reason, t.d.retry()) {
			t.early++
			t.told.Add(1)
		}
	}
	return true
}

// dismissWith ends an enrolled connection with a word, and a reconnection time unless
// that is 0. Not to be called within a sweep.
func (s *shard) dismissWith(c *client, reason error, retry time.Duration) {
	s.bringUp(c)
	s.dismiss(c, reason)
	if c.state == stateLeaving {
		c.lag.leaving.retry = retry
	}
	s.proceed(c)
}

// Drain says how a hub's connections are ended before it closes.
type Drain struct {
	Over, Patience     time.Duration // as in Disconnection
	RetryMin, RetryMax time.Duration
}

// Drain takes no new connection from here on, and ends those that are there, in turn;
// it returns how many it has told. A Seat from before can be taken still: such a
// connection is told at once. Pushes go on: Shutdown is what ends them. There is
// no way back.
func (h *Hub) Drain(ctx context.Context, d Drain) (told int, err error) {
	h.shut.Store(true)
	return h.Disconnect(ctx, Disconnection{All: true, Reason: ErrClosed,
		Over: d.Over, Patience: d.Patience, RetryMin: d.RetryMin, RetryMax: d.RetryMax})
}

// Draining says whether Drain, Close or Shutdown has begun.
func (h *Hub) Draining() bool { return h.shut.Load() || h.life.refuses() }

// ageLooks is how often a connection is looked at within its age.
const ageLooks = 16

// aging is a look at a shard's connections for old ones, which goes round and round.
type aging struct {
	pos  int // in books.clients, downwards; see Hub.list
	due  int // looks that the ticks so far ask for
	tick uint32
}

// dueAged has a share of the connections looked at, for a tick.
func (s *shard) dueAged() {
	age := s.hub.ageTicks
	if age == 0 {
		return
	}
	every := max(1, int(age/ageLooks))
	ticks := min(int(s.tick-s.aging.tick), every)
	s.aging.tick = s.tick
	n := len(s.books.clients)
	s.aging.due = min(n, s.aging.due+(n*ticks+every-1)/every)
}

// endAged asks connections to come back that have been there for longer than
// WithMaxConnectionAge says, for a bounded cost. It returns whether some are still to be
// looked at. One that has something waiting is let be, up to twice its age.
func (s *shard) endAged() (more bool) {
	at := &s.aging
	for end := s.until(s.hub.cfg.sweep); at.due > 0; at.due-- {
		if s.reached(end) {
			return true
		}
		if at.pos = min(at.pos, len(s.books.clients)); at.pos == 0 {
			at.pos = len(s.books.clients)
		}
		if at.pos == 0 {
			at.due = 0
			return false
		}
		at.pos--
		c := s.books.clients[at.pos]
		s.spend(lookCost)
		old, most := s.tick-c.born, s.hub.ageOf(c.serial)
		if old < most {
			continue
		}
		if s.bringUp(c); !c.enrolled() || !c.live() && old < 2*most {
			continue
		}
		d := Disconnection{RetryMin: s.hub.cfg.ageRetry[0], RetryMax: s.hub.cfg.ageRetry[1]}
		s.dismissWith(c, ErrReconnect, d.retry())
	}
	return false
}

// ageOf is how many ticks a connection may have: the jitter is its own for life.
func (h *Hub) ageOf(serial uint64) uint32 {
	x := (serial ^ h.lifeMark) * 0x9E3779B97F4A7C15 // a mixing constant of Fibonacci hashing
	part := float64(x>>11) / (1 << 53)
	return h.ageTicks - uint32(float64(h.ageTicks)*h.cfg.ageJitter*part)
}

// WithMaxConnectionAge has connections that have been there for d end with a
// disconnect event of reason "reconnect", so that load balancers spread them anew. Of
// d, a share up to jitter (0 to 1), at random, is taken off for each connection; it
// is kept to a sixteenth of d. retryMin and retryMax are the window of the reconnection
// time that each is told; 0 and 0 tell none. d of 0 is no bound, else at least 1 s.
func WithMaxConnectionAge(d time.Duration, jitter float64, retryMin, retryMax time.Duration) HubOption {
	return func(c *config) { c.age, c.ageJitter, c.ageRetry = d, jitter, [2]time.Duration{retryMin, retryMax} }
}

// correctAge corrects the settings of WithMaxConnectionAge.
func correctAge(c *config) {
	if c.age == 0 {
		return
	}
	c.age = correct(c, "maximal connection age", c.age, time.Second, 365*24*time.Hour)
	j := min(max(c.ageJitter, 0), 1)
	if math.IsNaN(j) {
		j = 0
	}
	if j != c.ageJitter {
		c.logger.Warn("spate: setting out of range, corrected", "setting", "jitter of the connection age", "given", c.ageJitter, "used", j)
		c.ageJitter = j
	}
	c.ageRetry[0] = correct(c, "retry of aged connections", c.ageRetry[0], 0, time.Hour)
	c.ageRetry[1] = correct(c, "retry of aged connections", c.ageRetry[1], c.ageRetry[0], time.Hour)
}
