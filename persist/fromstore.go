package persist

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/spatehub/spate/persist/internal/runs"
	"github.com/spatehub/spate/wire"
)

// ErrStoreLoses is the error for records with an audience, once a [Store] was seen
// to lose the users or the topic of an event that it saved: on resend it would
// reach everyone.
var ErrStoreLoses = errors.New("persist: store does not keep Users and Topic of events")

// WithEventTypes names event types that a [Store] may hold from earlier lives. It
// concerns [FromStore] only, and only Stores that have to be asked for each type
// separately: besides these types, it asks for "", "message" and those that were
// appended in this life.
func WithEventTypes(types ...string) Option {
	return func(c *config) { c.types = append(c.types, types...) }
}

// FromStore returns a [Log] that keeps its records in s; s itself, if it is one.
// s must be safe for use by several goroutines.
//
// It gets along with Stores that keep types apart or not, whose pages begin with
// the event of the given ID or after it, whose next ID is the last of the page or
// the first of the next, and which begin from the start when the ID is the newest
// or unknown to them. It never skips or repeats an event for that. A Store that
// begins from the start makes a reader look through all of it.
//
// What a Store can't do, the Log can't either: a batch is not atomic, so Append
// may return a [*PartialError]; there is no retention, so Floor is 0; the runs of
// earlier lives are not remembered, so of their IDs those count as issued that are
// found. Last is 0 until a record was appended or read, so after a restart the hub
// takes its IDs from the clock; but the first Last asks the Store for events whose
// IDs are ahead of the clock, as hubs count it (quarter microseconds since 1970),
// and follows those. It is asked for five seconds at most, and its methods must mind
// their context. Records that were read have no Time, so the Log is not [Dated], and
// a hub over it takes no pushes with an Idempotency-Key. An ID whose Save failed
// is not read in this life, whether or not the Store has kept it.
//
// FromStore panics for a nil Store.
func FromStore(s Store, opts ...Option) Log {
	if s == nil {
		panic("persist: FromStore of a nil Store")
	}
	if log, ok := s.(Log); ok {
		return log
	}
	l := &storeLog{store: s, cfg: newConfig(opts)}
	l.life, l.end = context.WithCancel(context.Background())
	l.mu.types = map[string]bool{"": true, wire.DefaultEventType: true}
	for _, t := range l.cfg.types {
		l.mu.types[t] = true
	}
	return l
}

type storeLog struct {
	store Store
	cfg   config
	life  context.Context // ends with the log: of questions that nobody's context bounds
	end   context.CancelFunc

	appending sync.Mutex // held by Append, which the contract makes sequential
	looking   sync.Mutex // held by lookAhead; taken before mu

	mu struct {
		sync.Mutex
		closed bool
		types  map[string]bool

		// last is the newest ID appended or read. sure says that the Store has none
		// above it, other than of the batch that is being saved; readers then go no
		// further, so that they see nothing half. started is the first ID appended
		// in this life, the bound of readers that are not sure.
		last, started uint64
		sure          bool

		runs   runs.List // of this life
		looked bool      // for IDs ahead of the clock
		failed []idRange // ascending: IDs that may be in the Store and don't count
		proven bool      // the Store keeps audiences
		loses  bool      // it does not
	}
}

// idRange is the IDs from..to.
type idRange struct{ from, to uint64 }

// without returns ranges less the IDs of r, which have been saved after all. Both
// are ascending, and r is above all ranges but the last few.
func without(ranges []idRange, r idRange) []idRange {
	i := len(ranges)
	for i > 0 && ranges[i-1].to >= r.from {
		i--
	}
	rest := slices.Clone(ranges[i:])
	ranges = ranges[:i]
	for _, f := range rest {
		if f.from < r.from {
			ranges = append(ranges, idRange{f.from, r.from - 1})
		}
		if f.to > r.to {
			ranges = append(ranges, idRange{max(f.from, r.to+1), f.to})
		}
	}
	return ranges
}

// boundLocked returns what a reader may see: IDs below it.
func (l *storeLog) boundLocked() uint64 {
	switch {
	case l.mu.sure:
		return l.mu.last + 1
	case l.mu.started != 0:
		return l.mu.started
	default:
		return math.MaxUint64
	}
}

// maxFailedRanges bounds the memory for failed IDs. A range grows while nothing
// succeeds, so this many outages are remembered.
const maxFailedRanges = 10_000

// Append implements [Log].
func (l *storeLog) Append(ctx context.Context, recs []Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.appending.Lock()
	defer l.appending.Unlock()
	if err := l.begin(recs); err != nil {
		return err
	}
	for i := range recs {
		if err := l.save(ctx, &recs[i]); err != nil {
			l.finish(recs, i)
			if i == 0 {
				return fmt.Errorf("persist: save: %w", err)
			}
			return &PartialError{Taken: i, Err: err}
		}
	}
	l.finish(recs, len(recs))
	return nil
}

func (l *storeLog) begin(recs []Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return ErrClosed
	}
	last := l.mu.last
	if run, open := l.mu.runs.Open(); open {
		last = max(last, run.First-1)
	}
	if err := CheckBatch(recs, last); err != nil {
		return err
	}
	if len(recs) > 0 && l.mu.started == 0 {
		l.mu.started = recs[0].ID
	}
	return nil
}

func (l *storeLog) save(ctx context.Context, r *Record) error {
	private := r.Users != nil || r.Topic != ""
	l.mu.Lock()
	proven, loses := l.mu.proven, l.mu.loses
	l.mu.Unlock()
	if private && loses {
		return ErrStoreLoses
	}
	e, err := EventOf(r)
	if err != nil {
		return err
	}
	e.Users = slices.Clone(r.Users)
	l.mu.Lock()
	l.mu.types[e.Event] = true
	l.mu.Unlock()
	typ := e.Event
	if err := l.store.Save(ctx, e); err != nil {
		return err
	}
	if !private || proven {
		return nil
	}
	return l.prove(ctx, typ, r)
}

// prove looks whether the Store gives back the audience of a record that it has
// just saved. A Store that does not show the record yet proves nothing.
func (l *storeLog) prove(ctx context.Context, typ string, r *Record) error {
	id := wire.FormatID(r.ID)
	var back *wire.Event
	err := l.list(ctx, typ, r.ID-1, func(e *wire.Event, _ uint64) bool {
		if e.ID == id {
			back = e
		}
		return false
	})
	if err != nil || back == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.proven = back.Topic == r.Topic && slices.Equal(back.Users, r.Users)
	if !l.mu.proven {
		l.mu.loses = true
		return ErrStoreLoses
	}
	return nil
}

// finish notes that the first taken records of a batch were saved.
func (l *storeLog) finish(recs []Record, taken int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if taken > 0 {
		l.mu.last, l.mu.sure = recs[taken-1].ID, true
		l.mu.failed = without(l.mu.failed, idRange{recs[0].ID, l.mu.last})
	}
	if taken == len(recs) {
		return
	}
	bad := idRange{recs[taken].ID, recs[len(recs)-1].ID}
	if n := len(l.mu.failed); n > 0 && l.mu.failed[n-1].to > l.mu.last {
		l.mu.failed[n-1].to = max(l.mu.failed[n-1].to, bad.to)
		return
	}
	l.mu.failed = append(l.mu.failed, bad)
	if len(l.mu.failed) > maxFailedRanges {
		l.mu.failed = slices.Delete(l.mu.failed, 0, 1)
	}
}

// First implements [Log]. It asks the Store.
func (l *storeLog) First() uint64 {
	ctx, cancel := context.WithTimeout(l.life, askFor)
	defer cancel()
	page, err := l.Read(ctx, 0, Limit{Records: 1})
	if err != nil || len(page.Records) == 0 {
		return 0
	}
	return page.Records[0].ID
}

// Last implements [Log].
func (l *storeLog) Last() uint64 {
	l.lookAhead()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.last
}

// Floor implements [Log].
func (*storeLog) Floor([]string) uint64 { return 0 }

// Has implements [Log].
func (l *storeLog) Has(ctx context.Context, id uint64) (bool, error) {
	if id == 0 {
		return false, ctx.Err()
	}
	page, err := l.Read(ctx, id-1, Limit{Records: 1})
	return err == nil && len(page.Records) > 0 && page.Records[0].ID == id, err
}

// Close implements [Log]. The Store is its owner's.
func (l *storeLog) Close() error {
	l.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.closed = true
	return nil
}
