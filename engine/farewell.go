package engine

import (
	"fmt"
	"time"

	"github.com/spatehub/spate/wire"
)

// This file ends connections with a word: the client learns why, and whether
// to come back for more.

// DisconnectEvent is the type of the event by which the hub says why it ends a
// connection. Its data is a Disconnect as JSON; it is the last event of its stream.
// It has no ID, but to a connection that began live and has got no event: that one
// learns by it where the stream stands, to resume from there.
const DisconnectEvent = wire.DisconnectType

// Disconnect is the data of a disconnect event. Reason is "overflow" for
// ErrOverflow, "history" for ErrHistory, "closed" for ErrClosed, "expired" for
// ErrExpired, "revoked" for ErrRevoked,
// "reconnect" for ErrReconnect.
type Disconnect struct {
	Reason string `json:"reason"`
}

// farewellTime bounds how long a client is given to take the rest of the frame
// that was sent in part, and the disconnect event. Its stall time-out holds
// where it is shorter.
const farewellTime = 5 * time.Second

// farewells are the disconnect events, which end their streams. An ending
// without one is not told: the peer is gone, or takes no bytes.
var farewells = [endings]word{
	endOverflow: farewell(endOverflow, 0),
	endHistory:  farewell(endHistory, 0),
	endClosed:   farewell(endClosed, 0),
	endExpired:  farewell(endExpired, 0),
	endRevoked:  farewell(endRevoked, 0),

	endReconnect: farewell(endReconnect, 0),
}

// reasonTold is the reason as the client reads it.
func reasonTold(as ending) string {
	switch as {
	case endOverflow:
		return "overflow"
	case endHistory:
		return "history"
	case endClosed:
		return "closed"
	case endRevoked:
		return "revoked"
	case endReconnect:
		return "reconnect"
	default:
		return "expired"
	}
}

// farewell makes a disconnect event, with an ID unless it is 0.
func farewell(as ending, id eventID) word { return lastWord(farewellFrame(as, id, 0)) }

// farewellFrame is a disconnect event, with a reconnection time unless that is 0.
func farewellFrame(as ending, id eventID, retry time.Duration) []byte {
	e := wire.Event{Event: DisconnectEvent, Data: Disconnect{Reason: reasonTold(as)}, Retry: retry}
	if id != 0 {
		e.ID = wire.FormatID(uint64(id))
	}
	frame, err := wire.AppendEvent(nil, &e)
	if err != nil {
		panic("engine: disconnect event: " + err.Error()) // a constant, but for the number
	}
	return frame
}

// farewellWord is the disconnect event with an ID that was told last: when a hub
// closes, it is the same for all.
type farewellWord struct {
	as   ending
	id   eventID
	word word
}

func (s *shard) farewell(as ending, id eventID, retry time.Duration) *word {
	switch {
	case retry > 0: // each has its own
		w := lastWord(farewellFrame(as, id, retry))
		return &w
	case id == 0:
		return &farewells[as]
	}
	if w := &s.words.farewell; w.id != id || w.as != as {
		*w = farewellWord{as, id, farewell(as, id)}
	}
	return &s.words.farewell.word
}

// leaving is the state of a client that is told why it ends.
type leaving struct {
	reason error
	until  uint32        // tick at which it is closed, whatever it has taken
	told   bool          // the disconnect event is in rest, or sent
	id     eventID       // to be told, up to which the client has got everything; 0: none
	retry  time.Duration // to be told; 0: none
}

// end ends a connection, with a word to the client where it can act on the
// reason. Not to be called within a sweep; see doom.
func (s *shard) end(c *client, reason error) {
	if w := &farewells[endingOf(reason)]; w.silent() {
		s.close(c, reason)
		return
	}
	s.bringUp(c)
	s.dismiss(c, reason)
	s.proceed(c)
}

// endEarly is end for a client that waits for the shard. It has got nothing but the
// response head, so its socket takes a few bytes, and who wants no history is told where
// it stands.
// Its reconnection time is told unless it is 0. It returns whether the client was there.
func (s *shard) endEarly(c *client, reason error, retry time.Duration) bool {
	if c.state != stateNew {
		return false // closed already, and not forgotten yet
	}
	id := eventID(0)
	if c.lag == nil || !c.lag.resumes {
		id = s.hub.told(c.id)
	}
	if w := s.farewell(endingOf(reason), id, retry); !w.silent() {
		_, _ = s.write(c, s.word(w, c.form)) // it is closed anyway
	}
	s.close(c, reason)
	return true
}

// dismiss gives up what waits for a client, but for the frame that was sent in
// part, and has it leave. proceed does what is left to do.
//
// Invariant: a leaving client receives no event. It is in no list but
// s.troubled.list, and keeps nothing but rest.
func (s *shard) dismiss(c *client, reason error) {
	if c.state == stateLeaving || c.state == stateClosed {
		return
	}
	var got eventID
	if c.live() {
		s.setBack(c)
		if !c.placed {
			got = s.hub.told(s.idAt(c.pos))
		}
	}
	l, onItsWay := c.lag, 0
	for at := range l.partial.all() {
		if l.base.covers(at) {
			continue
		}
		onItsWay++
		if c.state == stateBehind && !l.history.seen.covers(at) {
			s.n[nPushed]++
			l.queue.add(1, 0)
		}
	}
	l.queue.take(onItsWay, 0)
	s.failWaiting(c)
	s.strike(c)
	patience := s.hub.ticksOf(farewellTime)
	if c.stallFor > 0 {
		patience = min(patience, c.stallFor)
	}
	*l = lag{base: l.base, rest: l.rest, queue: queued{events: onItsWay}, stall: l.stall, partial: l.partial, index: l.index,
		leaving: leaving{reason: reason, until: s.tick + patience, id: got}}
	c.state = stateLeaving
	s.troubled.leaving++
}

// takeLeave puts the disconnect event in front, and closes the connection once
// that is sent. It is called when there is no rest.
func (s *shard) takeLeave(c *client) {
	l := &c.lag.leaving
	if l.told {
		s.close(c, l.reason)
		return
	}
	l.told = true
	s.keepRest(c, s.word(s.farewell(endingOf(l.reason), l.id, l.retry), c.form))
}

// outcome returns what a leaving client that is closed for reason is counted
// as, and what its sink is told.
func (l *leaving) outcome(reason error) (ending, error) {
	if reason != l.reason {
		reason = fmt.Errorf("%w; when told: %w", l.reason, reason)
	}
	return endingOf(l.reason), reason
}
