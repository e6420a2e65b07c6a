// Package session is what a stream knows, however its bytes arrive: the raw
// reader and the portable one share it, so that both report the same figures.
package session

import (
	"sync/atomic"

	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/clock"
	"github.com/spatehub/spate/loadtest/internal/stats"
	"github.com/spatehub/spate/loadtest/stamp"
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
	MaxEvent int    // largest event accepted, bytes

	// MeasureFrom is when the measured time begins, in nanoseconds since the
	// Unix epoch. Events due before it are checked but their delay is not
	// recorded. The director stores it once, when publishing begins; streams
	// only compare due times with it, so a late look is harmless.
	MeasureFrom atomic.Int64
}

// Session is one stream. It is for one goroutine at a time.
type Session struct {
	Parser wire.Parser
	Check  check.Client
	Role   Role
	LastID []byte // to resume from; empty = none

	open     bool
	resuming bool   // reconnecting with LastID, and not caught up yet
	everOpen bool   // the server has accepted it at least once
	id       uint64 // last decimal ID of this connection
	began    int64  // start of the connection attempt
	sent     int64  // request sent
}

// Open reports whether the server has accepted the stream and it has not ended.
func (s *Session) Open() bool { return s.open }

// EverOpen reports whether the server has accepted the stream at least once.
func (s *Session) EverOpen() bool { return s.everOpen }

// Reader feeds the bytes of any number of streams to their sessions, one at a
// time, and counts into its own statistics. It is for one goroutine at a time.
type Reader struct {
	Stats stats.Stats

	env *Env
	cur *Session
	now int64
	fn  func(wire.RawEvent) error // r.event, made once so that Feed does not allocate
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
	s.began, s.sent = now, 0
	s.resuming = r.env.Resume && len(s.LastID) > 0
}

// Connected tells that the connection can take the request, which is sent now.
func (r *Reader) Connected(s *Session, now int64) {
	r.Stats.Connect.Record(now - s.began)
	s.sent = now
}

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
	s.Check.Joined(r.env.Ledger, s.resuming)
	if s.resuming {
		r.Stats.Resumed++
		r.caughtUp(s, now)
	}
}

func (r *Reader) caughtUp(s *Session, now int64) {
	if s.resuming && !s.Check.Behind() {
		s.resuming = false
		if s.Role == Normal && !s.Check.Skipped() {
			r.Stats.Resume.Record(now - s.began)
		}
	}
}

// Ended tells that the connection or the attempt is over. own means that the
// tester itself wanted it; otherwise kind says why.
func (r *Reader) Ended(s *Session, own bool, kind string) {
	switch {
	case s.open && own:
		r.Stats.Dropped++
	case s.open:
		r.Stats.Disconnects++
		r.Stats.Fail(kind)
	case !own:
		r.Stats.Fail(kind)
	}
	if s.open {
		if id := s.Parser.LastID(); len(id) > 0 {
			s.LastID = append(s.LastID[:0], id...)
		}
		s.Parser.Reset()
	}
	s.open, s.resuming = false, false
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

// event takes in one event of the current stream.
func (r *Reader) event(e wire.RawEvent) error {
	s, c := r.cur, &r.Stats
	c.Events++
	if r.env.CheckIDs && e.HasID {
		r.checkID(s, e.ID)
	}
	if len(e.Event) > 0 && string(e.Event) == r.env.GapType {
		c.Gaps++
		return nil
	}
	st, verdict := stamp.Parse(e.Data)
	switch {
	case verdict == stamp.Missing || verdict == stamp.Intact && st.Run != r.env.Run:
		c.Foreign++
		return nil
	case verdict == stamp.Corrupt:
		c.Corrupt++
		return nil
	}
	outcome := s.Check.Observe(r.env.Ledger, &st)
	switch outcome {
	case check.Misaddressed:
		c.Misaddressed++
		return nil
	case check.Unknown:
		c.Corrupt++
		return nil
	case check.Duplicate:
		c.Duplicates++
		return nil
	case check.Late:
		c.Disorder++
	case check.LateReplayed:
		c.Disorder++
		c.Replayed++
	case check.Replayed:
		c.Replayed++
	}
	c.Deliveries++
	c.LastDelivery = r.now
	switch {
	case st.Sent < r.env.MeasureFrom.Load():
		c.WarmUp++
	case (outcome == check.Live || outcome == check.Late) && s.Role == Normal:
		c.Latency.Record(r.now - st.Sent)
	}
	return nil
}

// checkID counts decimal IDs that do not rise within the connection.
func (r *Reader) checkID(s *Session, id []byte) {
	var n uint64
	if len(id) == 0 || len(id) > 19 {
		return
	}
	for _, b := range id {
		if b < '0' || b > '9' {
			return
		}
		n = n*10 + uint64(b-'0')
	}
	if n <= s.id {
		r.Stats.IDDisorder++
	}
	s.id = n
}
