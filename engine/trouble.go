package engine

import "github.com/valyala/bytebufferpool"

// lag is the state of a client that is not live. Its first part holds for all such
// clients; what follows belongs to one clientState each, and is zero in the others.
type lag struct {
	base point // events ≤ base were pushed before the connection joined: resent, not delivered
	gap  gap   // not yet told

	// fleeting: ephemeral events ≤ fleeting are not resent. A client that
	// resumes may have had them, and could not tell.
	//
	// Invariant: fleeting ≤ base.
	fleeting position

	// rest is what must be sent before anything else, or nil: the remainder of a frame
	// that was sent in part, a gap event, a disconnect event, a heartbeat.
	rest *bytebufferpool.ByteBuffer

	queue   queued
	stall   stalling
	partial partial
	index   int32 // in troubled.list

	resumes   bool      // while new: it reads history first
	retry     trying    // while lagging, under PolicyRetry
	history   *history  // while behind: its reading of the log
	allowance allowance // what it may be sent from the log
	leaving   leaving   // while leaving

	resuming resuming
}

// queued is what waits for a client: events counted as pushed to it, but not yet
// as anything else.
type queued struct {
	events, bytes int // bytes: of those in the window, about
}

func (q *queued) add(events, bytes int) {
	q.events += events
	q.bytes += bytes
}

// take takes out events that are counted otherwise now, and bytes.
func (q *queued) take(events, bytes int) {
	q.events -= events
	q.bytes = max(0, q.bytes-bytes)
}

// stalling is what is known of a sink that did not take all it was offered.
type stalling struct {
	full  bool   // the shard waits for Writable
	stuck bool   // a byte was offered since the tick, and not taken: the time until now is the peer's
	tick  uint32 // since which no byte was taken
}

// filled notes that the sink takes no more.
func (w *stalling) filled() { w.full, w.stuck = true, true }

// took notes that the sink took a byte.
func (w *stalling) took(now uint32) { w.tick, w.stuck = now, false }

// expired says whether the sink has taken no byte for so many ticks, 0 being never.
func (w *stalling) expired(now, most uint32) bool {
	return w.full && most > 0 && !before32(now, w.tick+most)
}

// full says whether the client's sink is, so that the shard waits for it.
func (c *client) full() bool { return c.lag != nil && c.lag.stall.full }

// owes says whether something must be sent to the client before anything else.
func (c *client) owes() bool { return c.lag != nil && c.lag.rest != nil }

// troubled are a shard's clients that are lagging, behind or leaving.
type troubled struct {
	list    []*client
	leaving int // of them; they are in the books no more

	low   position // no lagging client's pos is below
	trims trimming
	sweep int  // those that the tick has not looked at yet: of a lower index
	shown bool // Stats shows some

	spare *lag // of the client that recovered last, for the next
}

// add lists a client and returns its lag, which it may have already.
func (t *troubled) add(c *client) *lag {
	if c.lag == nil {
		if c.lag, t.spare = t.spare, nil; c.lag == nil {
			c.lag = &lag{}
		}
	}
	c.lag.index = int32(len(t.list))
	t.list = append(t.list, c)
	return c.lag
}

// remove takes a client's lag from it, and the client off the list if it is on it.
func (t *troubled) remove(c *client) {
	n := len(t.list) - 1
	if i := int(c.lag.index); i <= n && t.list[i] == c {
		moved := t.list[n]
		t.list[i] = moved
		moved.lag.index = int32(i)
		t.list[n] = nil
		t.list = t.list[:n]
	}
	if checked && c.owes() {
		panic("engine: what is owed to a client is lost")
	}
	*c.lag = lag{partial: partial{more: c.lag.partial.more[:0]}}
	t.spare, c.lag = c.lag, nil
}

// lags notes that a client lags at the position.
func (t *troubled) lags(at position) {
	if at.before(t.low) {
		t.low = at
	}
	if t.trims.active() {
		t.trims.keeps(at)
	}
}

// reaches says whether a lagging client may wait for an event before the position.
func (t *troubled) reaches(low position) bool { return len(t.list) > 0 && (t.low + 1).before(low) }

// settle ends a look for which nobody is left.
func (t *troubled) settle() {
	if len(t.list) == 0 {
		t.trims.left = 0
	}
}

// startSweep has all be looked at, once those before have been.
func (t *troubled) startSweep() {
	if t.sweep == 0 {
		t.sweep = len(t.list)
	}
}

// nextSwept returns the next to be looked at; nil where the look at others has
// healed or ended it. Only while sweep is not 0.
func (t *troubled) nextSwept() *client {
	t.sweep--
	return t.from(t.sweep)
}

// from returns the client at an index, nil where the list has become shorter.
func (t *troubled) from(i int) *client {
	if i >= len(t.list) {
		return nil
	}
	return t.list[i]
}

// count returns how many wait for their sinks, how many read the log, and how many do one
// of these.
func (t *troubled) count() (stalled, catching, late int64) {
	for _, c := range t.list {
		full, behind := c.full(), c.state == stateBehind
		if full {
			stalled++
		}
		if behind {
			catching++
		}
		if full || behind {
			late++
		}
	}
	return stalled, catching, late
}

// trimming is a look at all of them for those that wait at events which the window
// is about to lose. It goes on over several passes.
type trimming struct {
	left   int      // still to be looked at: those of a lower index
	lowest position // no one looked at is below
	low    position // the window is to begin here
}

// active says whether some are still to be looked at.
func (t *trimming) active() bool { return t.left > 0 }

// keeps notes that one which was looked at, or need not be, is at the position.
func (t *trimming) keeps(at position) {
	if at.before(t.lowest) {
		t.lowest = at
	}
}

// startTrim begins a look, or goes on with the one under way, for a window that is
// to begin at low; high is the shard's position.
func (t *troubled) startTrim(low, high position) {
	if t.trims.left == 0 {
		t.trims.left, t.trims.lowest = len(t.list), high
	}
	t.trims.low = low
}

// nextTrimmed is nextSwept of the look, while it is active.
func (t *troubled) nextTrimmed() *client {
	t.trims.left--
	return t.from(t.trims.left)
}

// startLag makes a client one in trouble, in the given state.
func (s *shard) startLag(c *client, state clientState) *lag {
	at := s.standing(c)
	c.state = state
	l := s.troubled.add(c)
	l.base, l.stall.tick = s.at(at), s.tick
	return l
}
