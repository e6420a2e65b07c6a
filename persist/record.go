package persist

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spatehub/spate/internal/audience"
)

// Record is one event as it is kept.
type Record struct {
	ID    uint64   // assigned by the hub, never 0, strictly increasing
	Users []string // the audience; nil is everyone
	Topic string   // subscribers of this topic only; "" is no such restriction
	Key   string   // conflation key; "" is none
	Time  int64    // when it was appended, Unix milliseconds
	Frame []byte   // the complete SSE frame, ID line included
}

// NoteUser is the audience of records that are a hub's own and for nobody. It is no
// UTF-8, which the names of users are, so that no connection can be its.
const NoteUser = "\xffnote"

// Note reports whether r is a hub's own, for NoteUser.
func (r *Record) Note() bool { return len(r.Users) == 1 && r.Users[0] == NoteUser }

// For reports whether a connection of user uid, subscribed to the topics for
// which topic returns true, may receive r. It is the one filter of live delivery
// and of resend. A nil topic is a connection without topics.
func (r *Record) For(uid string, topic func(string) bool) bool {
	w, e := audience.Wish{User: uid}, audience.Event{Topic: r.Topic}
	if topic != nil {
		w.Topics = follows(topic)
	}
	if r.Users != nil {
		e.Users = (*audience.List)(&r.Users)
	}
	return w.Admits(e)
}

// follows is a function as audience.Topics.
type follows func(topic string) bool

func (f follows) Follows(topic string) bool { return f(topic) }

// Size is what r counts against byte bounds: its payload and names, not the
// overhead of the log that keeps it.
func (r *Record) Size() int {
	n := len(r.Frame) + len(r.Topic) + len(r.Key)
	for _, u := range r.Users {
		n += len(u)
	}
	return n
}

// MaxID is the highest ID that a log takes. The 2^56 above it are never used: numbers
// that are counted on from an ID, by the clock or by events, do not run over.
const MaxID = math.MaxUint64 - 1<<56

// check refuses what could not be kept and found again.
func (r *Record) check(after uint64) error {
	switch {
	case r.ID <= after:
		return fmt.Errorf("%w: %d after %d", ErrOrder, r.ID, after)
	case r.ID > MaxID:
		return errBeyond(r.ID)
	case r.Users != nil && len(r.Users) == 0:
		return fmt.Errorf("%w: record %d has an empty list of users, which is neither everyone nor anyone", ErrRecord, r.ID)
	case strings.IndexByte(r.Topic, 0) >= 0:
		return fmt.Errorf("%w: record %d has a NUL byte in its topic", ErrRecord, r.ID)
	}
	for _, u := range r.Users {
		if u == "" || strings.IndexByte(u, 0) >= 0 {
			return fmt.Errorf("%w: record %d names user %q", ErrRecord, r.ID, u)
		}
	}
	return nil
}

// CheckBatch refuses a batch that does not follow the ID last, or in which a record
// could not be kept and found again. It is the first thing that an Append does.
func CheckBatch(recs []Record, last uint64) error {
	for i := range recs {
		if err := recs[i].check(last); err != nil {
			return err
		}
		last = recs[i].ID
	}
	return nil
}

// CheckRun refuses a run that would begin at or below the last ID, or leave no room.
// It is the first thing that a BeginRun does.
func CheckRun(first, last uint64) error {
	switch {
	case first <= last:
		return fmt.Errorf("%w: run from %d after %d", ErrOrder, first, last)
	case first > MaxID:
		return errBeyond(first)
	}
	return nil
}

func errBeyond(id uint64) error {
	return fmt.Errorf("%w: ID %d is beyond %d, the highest that is taken", ErrRecord, id, uint64(MaxID))
}

// Query selects records by audience. The zero Query selects everything;
// otherwise a record is selected if any part of the query selects it.
type Query struct {
	Public bool     // records for everyone without a topic
	Topics []string // records for everyone with one of these topics, or in one of these patterns (wire.Pattern)
	User   string   // records that name this user, whatever their topic; "" is none
}

// Everything reports whether q is the zero Query.
func (q *Query) Everything() bool { return !q.Public && len(q.Topics) == 0 && q.User == "" }

// Selects reports whether q selects r.
func (q *Query) Selects(r *Record) bool {
	switch {
	case q.Everything():
		return true
	case r.Users != nil:
		return q.User != "" && slices.Contains(r.Users, q.User)
	case r.Topic == "":
		return q.Public
	default:
		return slices.ContainsFunc(q.Topics, func(s string) bool {
			if s == r.Topic {
				return true
			}
			p, wild := wildPattern(s)
			return wild && p.Match(r.Topic)
		})
	}
}

// Limit bounds a page. A field that is 0 or less stands for the default of 1024
// records or 1 MiB of frames. A page holds at least one record if there is one,
// however large.
type Limit struct {
	Records int
	Bytes   int // sum of the frames
}

const (
	defaultPageRecords = 1024
	defaultPageBytes   = 1 << 20
)

func (l Limit) withDefaults() Limit {
	if l.Records <= 0 {
		l.Records = defaultPageRecords
	}
	if l.Bytes <= 0 {
		l.Bytes = defaultPageBytes
	}
	return l
}

// Page is what one read returns. Its memory is the caller's own: a log never
// writes to it again, nor keeps it.
type Page struct {
	// Records are in ascending order of ID. Every record that was asked for with
	// after < ID ≤ UpTo is among them.
	Records []Record

	// UpTo is where to read on. It may lie beyond the last record, where there
	// was nothing to select. UpTo == after says that there is nothing more now.
	UpTo uint64

	// Bytes is the sum of the lengths of the frames.
	Bytes int
}
