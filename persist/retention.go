package persist

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Retention says how long records are kept. A field that is 0 sets no bound; a
// record goes as soon as one bound says so. Bounds are kept in the background and
// with the grain of the log: some more than the bound may stay for a while.
type Retention struct {
	MaxAge   time.Duration // by [Record.Time]
	MaxCount int64         // records
	MaxBytes int64         // bytes of frames and names; for Memory, about all that they take

	// Topics bounds the records of single topics, by name, beside the bounds of
	// the whole. The entry "*" is for every topic that has none of its own. The
	// Topics of an entry are ignored.
	Topics map[string]Retention
}

// AnyTopic is the key of [Retention.Topics] for topics without an entry.
const AnyTopic = "*"

// ForTopic returns the bounds of one topic, and whether it has any.
func (r *Retention) ForTopic(topic string) (Retention, bool) {
	t, ok := r.Topics[topic]
	if !ok {
		t, ok = r.Topics[AnyTopic]
	}
	return t, ok && t.Bounded()
}

// SameTopics reports whether the same topics have bounds of their own in both, whatever
// these are. A topic that has none has lost nothing to such bounds, unless it had some
// before.
func (r *Retention) SameTopics(other *Retention) bool {
	for _, some := range []*Retention{r, other} {
		for topic := range some.Topics {
			_, here := r.ForTopic(topic)
			if _, there := other.ForTopic(topic); here != there {
				return false
			}
		}
	}
	return true
}

// CheckRetention refuses bounds that are negative, and names them.
func CheckRetention(r Retention) error {
	if err := r.check(""); err != nil {
		return err
	}
	for _, topic := range slices.Sorted(maps.Keys(r.Topics)) {
		t := r.Topics[topic]
		if err := t.check(fmt.Sprintf(" of topic %q", topic)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Retention) check(what string) error {
	switch {
	case r.MaxAge < 0:
		return fmt.Errorf("persist: retention%s: MaxAge is negative: %v", what, r.MaxAge)
	case r.MaxCount < 0:
		return fmt.Errorf("persist: retention%s: MaxCount is negative: %d", what, r.MaxCount)
	case r.MaxBytes < 0:
		return fmt.Errorf("persist: retention%s: MaxBytes is negative: %d", what, r.MaxBytes)
	}
	return nil
}

// Bounded reports whether r sets a bound for the log as a whole.
func (r *Retention) Bounded() bool { return r.MaxAge > 0 || r.MaxCount > 0 || r.MaxBytes > 0 }

// ages reports whether r has a bound of age, for all records or some topic.
func (r *Retention) ages() bool {
	if r.MaxAge > 0 {
		return true
	}
	for _, t := range r.Topics {
		if t.MaxAge > 0 {
			return true
		}
	}
	return false
}

// Retainer is a [Log] whose retention can be changed while it is in use.
type Retainer interface {
	// SetRetention takes the place of the bounds that the log has. Wider ones hold when
	// it returns: nothing goes by the old ones any more. What narrower ones no longer
	// allow goes soon after, in steps between which the log works as ever.
	//
	// It may be called by any number of goroutines, beside everything else; calls take
	// turns. The log keeps no reference to r. An error, of [CheckRetention], [ErrClosed]
	// or of reading the log, leaves the old bounds in force.
	SetRetention(r Retention) error
}
