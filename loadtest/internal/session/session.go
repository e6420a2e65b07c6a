// Package session is what a stream knows, and what is counted of it, however its
// bytes arrive: the raw reader and the portable one share it, so that both report
// the same figures.
package session

import (
	"sync/atomic"

	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/clock"
	"github.com/spatehub/spate/wire"
)

// Role says how eagerly a stream reads.
type Role uint8

// The roles.
const (
	Normal  Role = iota
	Slow         // reads at a limited rate
	Stalled      // reads the response's head and nothing more
)

// Env is what all streams of a process share.
type Env struct {
	Clock    clock.Clock
	Ledger   *check.Ledger
	Run      uint32
	Resume   bool   // reconnect with Last-Event-ID
	CheckIDs bool   // IDs are decimal and have to rise
	GapType  string // type of the events that tell of lost history
	Type     string // type under which the run's events have to arrive; "" = any
	MaxEvent int    // largest event accepted, bytes

	Observe bool       // events without a stamp are measured too
	Silence int64      // span without an event that counts as silence, nanoseconds; 0 = none does
	Time    *Extractor // finds the time in an event; nil = there is none
	Finite  *Finite    // streams come to an end; nil = they do not

	// MeasureFrom is when the measured time begins, in nanoseconds since the
	// Unix epoch. Events due before it are checked but their delay is not
	// recorded. The director stores it once, when publishing begins; streams
	// only compare due times with it, so a late look is harmless.
	MeasureFrom atomic.Int64

	// Quiet is stored once, at the end of publishing: no finite stream is asked
	// for after it. A late look at it starts one more.
	Quiet atomic.Bool
}

// Session is one stream. It is for one goroutine at a time.
type Session struct {
	Parser wire.Parser
	Check  check.Client
	Role   Role
	Group  int    // index; -1 = none
	Due    int64  // when a finite stream was to be asked for, nanoseconds since the Unix epoch; 0 = when it is
	LastID []byte // to resume from; empty = none

	open      bool
	resuming  bool   // reconnecting with LastID, and not caught up yet
	everOpen  bool   // the server has accepted it at least once
	id        uint64 // last decimal ID of this connection
	began     int64  // start of the connection attempt
	sent      int64  // request sent
	joined    int64  // when it was accepted last
	last      int64  // receipt of the last event, or when the stream was accepted
	any       bool   // an event has come on this connection
	own       bool   // the tester has closed it, and it has not been accepted again
	away      bool   // the server has told it to stay away
	begun     bool   // it has been asked for
	retired   bool   // the tester has closed it, not to come back
	seen      *seenIDs
	tokens    int64 // of the present finite stream
	lastToken int64 // receipt of its last token
}

// Open reports whether the server has accepted the stream and it has not ended.
func (s *Session) Open() bool { return s.open }

// EverOpen reports whether the server has accepted the stream at least once.
func (s *Session) EverOpen() bool { return s.everOpen }

// Coming reports whether the tester has closed the stream to open it again.
func (s *Session) Coming() bool { return s.own && !s.away }

// SentAway reports whether the server has told the stream to stay away.
func (s *Session) SentAway() bool { return s.away }

// SendAway tells that the server has done so.
func (s *Session) SendAway() {
	s.away = true
	s.Check.SendAway()
}

// Retire tells that the tester has closed the stream for good, or until it asks for
// it as a new one.
func (s *Session) Retire() {
	s.retired = true
	s.LastID = s.LastID[:0]
	s.Check.Retire()
}

// Wanted reports whether the stream has been asked for and not been retired.
func (s *Session) Wanted() bool { return s.begun && !s.retired }

// Silent is how long an open stream has had no event; 0 if it is not open.
func (s *Session) Silent(now int64) int64 {
	if !s.open || s.Role != Normal {
		return 0
	}
	return now - s.last
}

// Kinds of ends that a session tells apart.
const (
	KindClosed = "closed by the server" // at the end of the response
	KindDone   = "done"                 // a finite stream has had its last event
)

// Reader feeds the bytes of any number of streams to their sessions, one at a
// time, and counts into its own statistics. It is for one goroutine at a time.
type Reader struct {
	Stats Stats

	env   *Env
	cur   *Session
	now   int64
	known known
	fn    func(wire.RawEvent) error // r.event, made once so that Feed does not allocate
}

// NewReader returns a reader of the env's streams.
func NewReader(env *Env) *Reader {
	r := &Reader{env: env}
	r.fn = r.event
	return r
}

// Begin tells that s starts to connect.
func (r *Reader) Begin(s *Session, now int64) {
	r.Stats.Connects++
	s.begun, s.retired = true, false
	s.began, s.sent = now, 0
	if s.Due == 0 {
		s.Due = now
	}
	s.resuming = r.env.Resume && len(s.LastID) > 0
}

// Connected tells that the connection can take the request, which is sent now.
// dialled is when the connection was begun; 0 if it was there before.
func (r *Reader) Connected(s *Session, dialled, now int64) {
	if dialled > 0 {
		r.Stats.Connect.Record(now - dialled)
	}
	s.sent = now
}

// Began is when the present attempt began.
func (s *Session) Began() int64 { return s.began }

// FirstByte tells that the response has begun.
func (r *Reader) FirstByte(s *Session, now int64) {
	r.Stats.TTFB.Record(now - s.sent)
}

// Joined tells that the server has accepted the stream.
func (r *Reader) Joined(s *Session, now int64) {
	r.Stats.Opened++
	s.Parser.Reset()
	s.Parser.MaxEventSize = r.env.MaxEvent
	s.open, s.everOpen, s.id = true, true, 0
	s.own, s.any, s.last, s.joined, s.tokens = false, false, now, now, 0
	s.Check.Joined(r.env.Ledger, s.resuming)
	if s.resuming {
		r.Stats.Resumed++
		r.caughtUp(s, now)
	}
}

func (r *Reader) caughtUp(s *Session, now int64) {
	if s.resuming && !s.Check.Behind() {
		s.resuming = false
		if r.env.Ledger.Far() {
			return // what was issued meanwhile is not known here
		}
		if s.Role == Normal && !s.Check.Skipped() {
			r.Stats.Resume.Record(now - s.began)
		}
	}
}

// Ended tells that the connection or the attempt is over. own means that the
// tester itself wanted it; otherwise kind says why.
func (r *Reader) Ended(s *Session, own bool, kind string, now int64) {
	if s.open {
		r.silence(s, now, !own)
	}
	switch {
	case s.open && own:
		r.Stats.Dropped++
	case r.env.Finite != nil && !own:
		r.endFinite(s, kind, now)
	case s.open:
		r.Stats.Disconnects++
		r.Stats.Fail(kind)
	case !own:
		r.Stats.Fail(kind)
	}
	r.Position(s, s.Parser.LastID())
	s.Parser.Reset()
	s.own = own && (s.open || s.own)
	s.open, s.resuming, s.Due = false, false, 0
}

// Position tells the last ID of the stream's connection, none if it has told none.
func (r *Reader) Position(s *Session, id []byte) {
	if len(id) > 0 && s.open && r.env.Finite == nil && r.env.Resume {
		s.LastID = append(s.LastID[:0], id...)
	}
}

// Event takes in an event of an open stream that arrived at now, where somebody else
// has parsed it. Its error ends the stream.
func (r *Reader) Event(s *Session, e *wire.RawEvent, now int64) error {
	r.cur, r.now = s, now
	err := r.event(*e)
	if s.resuming {
		r.caughtUp(s, now)
	}
	return err
}

// Feed takes in bytes of an open stream's body that arrived at now. It does not
// keep them. Its error ends the stream.
func (r *Reader) Feed(s *Session, body []byte, now int64) error {
	r.cur, r.now = s, now
	before := s.Parser.Comments()
	err := s.Parser.Feed(body, r.fn)
	r.Stats.Comments += int64(s.Parser.Comments() - before)
	if s.resuming {
		r.caughtUp(s, now)
	}
	return err
}
