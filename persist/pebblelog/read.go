package pebblelog

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/spatehub/spate/persist"
)

// view is what one read sees of the log: the records with floor < ID ≤ upTo.
type view struct {
	db          *pebble.DB
	floor, upTo uint64
	looks       int // keys of the index, and records of a scan, that were looked at
}

// acquire returns a view. When it is valid, release must be called after use.
func (p *Log) acquire(ctx context.Context) (view, error) {
	if err := ctx.Err(); err != nil {
		return view{}, err
	}
	p.genMu.RLock()
	if p.closed {
		p.genMu.RUnlock()
		return view{}, persist.ErrClosed
	}
	return view{db: p.gen.db, floor: p.floor.Load(), upTo: p.acked.Load()}, nil
}

func (p *Log) release() { p.genMu.RUnlock() }

// records returns an iterator over the records with after < ID ≤ upTo.
func (v *view) records(after, upTo uint64) (*pebble.Iterator, error) {
	var keys [2 * 9]byte
	return v.db.NewIter(&pebble.IterOptions{
		LowerBound: recordKey(keys[0:0:9], max(after, v.floor)+1),
		UpperBound: recordKey(keys[9:9:18], upTo+1),
	})
}

// Read implements [persist.Log].
func (p *Log) Read(ctx context.Context, after uint64, lim persist.Limit) (persist.Page, error) {
	v, err := p.acquire(ctx)
	if err != nil {
		return persist.Page{}, err
	}
	defer p.release()
	if after >= v.upTo {
		return persist.Page{UpTo: after}, nil
	}
	b := persist.NewPageBuilder(after, lim)
	if err := v.read(&b, after); err != nil {
		return persist.Page{}, readError(err)
	}
	return b.Page, nil
}

func (v *view) read(b *persist.PageBuilder, after uint64) (err error) {
	it, err := v.records(after, v.upTo)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		val, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if fits, err := addValue(b, keyID(it.Key()), val); !fits || err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return err
	}
	b.Reach(v.upTo)
	return nil
}

// Has implements [persist.Log].
func (p *Log) Has(ctx context.Context, id uint64) (bool, error) {
	v, err := p.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer p.release()
	if id <= v.floor || id > v.upTo {
		return false, nil
	}
	found, err := get(v.db, recordKey(nil, id), func([]byte) error { return nil })
	if err != nil {
		return false, readError(err)
	}
	return found, nil
}

func readError(err error) error { return fmt.Errorf("persist: read: %w", told(err)) }
