package pebblelog

import (
	"errors"
	"fmt"

	"github.com/spatehub/spate/persist"
)

// scanBudget is how many records a Query for patterns looks at. A reader that wants
// few of them gets a page that reaches as far as that went.
const scanBudget = 16 << 10

// scan is query for topics with patterns where the index does not help: a pattern that
// begins with a wildcard may have topics anywhere in it, and others have most of what
// there is. It goes through the records, and copies those that are selected.
func (v *view) scan(b *persist.PageBuilder, q *persist.Query, set *persist.TopicSet, after uint64) (err error) {
	it, err := v.records(after, v.upTo)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	left := scanBudget
	for ok := it.First(); ok; ok = it.Next() {
		id := keyID(it.Key())
		val, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		h, err := parseHeader(val)
		if err != nil {
			return fmt.Errorf("record %d: %w", id, err)
		}
		if maySelect(q, set, &h, val) {
			if fits, err := v.take(b, q, id, it); !fits || err != nil {
				return err
			}
		}
		v.looks++
		if left--; left == 0 {
			b.Reach(id)
			return nil
		}
	}
	if err := it.Error(); err != nil {
		return err
	}
	b.Reach(v.upTo)
	return nil
}

// maySelect reports whether q may select the record, without looking at the names of
// its users.
func maySelect(q *persist.Query, set *persist.TopicSet, h *header, val []byte) bool {
	switch {
	case h.users >= 0:
		return q.User != ""
	case h.topic0 == h.topic1:
		return q.Public
	default:
		return set.Follows(text(val[h.topic0:h.topic1]))
	}
}
