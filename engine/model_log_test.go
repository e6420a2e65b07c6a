package engine

import (
	"bytes"
	"context"
	"slices"

	"github.com/spatehub/spate/persist"
)

// modelLog is a log with pages of two records.
type modelLog struct {
	recs    []persist.Record
	last    uint64
	floor   uint64
	between func() // happens after a look at the bounds, before the reading
}

const modelPage = 2

func (l *modelLog) add(recs []persist.Record) {
	for _, r := range recs {
		r.Frame, r.Users = bytes.Clone(r.Frame), slices.Clone(r.Users)
		l.recs = append(l.recs, r)
		l.last = r.ID
	}
}

func (l *modelLog) page(after uint64, selects func(*persist.Record) bool) (persist.Page, error) {
	if fn := l.between; fn != nil {
		l.between = nil
		fn()
	}
	p := persist.Page{UpTo: after}
	for i := range l.recs {
		r := l.recs[i]
		if r.ID <= after || !selects(&r) {
			continue
		}
		if len(p.Records) == modelPage {
			return p, nil
		}
		p.Records = append(p.Records, r)
		p.UpTo = r.ID
	}
	p.UpTo = max(p.UpTo, l.last)
	return p, nil
}

func (l *modelLog) Append(context.Context, []persist.Record) error { return nil }
func (l *modelLog) Read(_ context.Context, after uint64, _ persist.Limit) (persist.Page, error) {
	return l.page(after, func(*persist.Record) bool { return true })
}
func (l *modelLog) First() uint64 {
	if len(l.recs) == 0 {
		return 0
	}
	return l.recs[0].ID
}
func (l *modelLog) Last() uint64            { return l.last }
func (l *modelLog) Floor(_ []string) uint64 { return l.floor }
func (l *modelLog) Close() error            { return nil }
func (l *modelLog) Has(_ context.Context, id uint64) (bool, error) {
	return slices.ContainsFunc(l.recs, func(r persist.Record) bool { return r.ID == id }), nil
}

// modelQuerier has an index.
type modelQuerier struct{ *modelLog }

func (l modelQuerier) Query(_ context.Context, q persist.Query, after uint64, _ persist.Limit) (persist.Page, error) {
	return l.page(after, func(r *persist.Record) bool {
		if r.Users != nil {
			return slices.Contains(r.Users, q.User)
		}
		return r.Topic == "" && q.Public || r.Topic != "" && slices.Contains(q.Topics, r.Topic)
	})
}
