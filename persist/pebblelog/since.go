package pebblelog

import (
	"context"
	"errors"
	"time"

	"github.com/spatehub/spate/persist/internal/bytime"
)

// After implements [persist.Dated].
func (p *Log) After(ctx context.Context, t time.Time) (id uint64, err error) {
	v, err := p.acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer p.release()
	since, now := t.UnixMilli(), p.cfg.clock.Now().UnixMilli()
	p.mu.Lock()
	from, upTo := uint64(0), v.upTo
	if i := bytime.First(&p.mu.chunkList, since, now); i < len(p.mu.chunks) {
		from, upTo = p.mu.chunks[i].first, min(v.upTo, p.mu.chunks[i].last)
	}
	first, floor, floorTime := p.mu.first, p.floor.Load(), p.mu.floorTime
	p.mu.Unlock()
	if from == 0 {
		return v.upTo, nil
	}
	found, err := v.since(from, upTo, since)
	switch {
	case err != nil:
		return 0, readError(err)
	case found == 0:
		return upTo, nil // retention of its topic has removed it
	case found != first:
		return found - 1, nil
	case floor > 0 && floorTime < since:
		return floor, nil // what is gone was older
	default:
		return 0, nil
	}
}

// since returns the first record of a chunk that was appended at a time or later, 0 if
// there is none.
func (v *view) since(from, upTo uint64, at int64) (id uint64, err error) {
	it, err := v.records(from-1, upTo)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		val, err := it.ValueAndErr()
		if err != nil {
			return 0, err
		}
		h, err := parseHeader(val)
		if err != nil {
			return 0, err
		}
		if h.time >= at {
			return keyID(it.Key()), nil
		}
	}
	return 0, it.Error()
}
