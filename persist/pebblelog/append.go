package pebblelog

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/streams"
)

// Append implements [persist.Log].
func (p *Log) Append(ctx context.Context, recs []persist.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	wait, err := p.Begin(recs)
	if err != nil {
		return err
	}
	return wait()
}

// Begin implements [persist.Pipeliner].
func (p *Log) Begin(recs []persist.Record) (wait func() error, err error) {
	g, err := p.lockAppending()
	if err != nil {
		return nil, err
	}
	defer p.appending.Unlock()
	if err := persist.CheckBatch(recs, p.appending.begun); err != nil {
		return nil, err
	}
	if len(recs) == 0 {
		return func() error { return nil }, nil
	}
	b := g.db.NewBatchWithSize(batchLen(recs))
	due := p.build(b, recs)
	n, first, last := len(recs), recs[0].ID, recs[len(recs)-1].ID
	p.appending.begun = last
	if err := g.apply(b, p.cfg.sync); err != nil {
		p.refuse(g)
		return nil, failure(err)
	}
	return func() error {
		err := p.finish(g, b, first, last)
		if err == nil {
			p.mark.acked(last, n)
		} else {
			p.refuse(g)
		}
		if due {
			p.wake()
		}
		return err
	}, nil
}

// lockAppending locks appending and returns the generation to append to. If that
// has failed, it tries to heal the log first.
func (p *Log) lockAppending() (*generation, error) {
	for {
		p.appending.Lock()
		if p.closed {
			p.appending.Unlock()
			return nil, persist.ErrClosed
		}
		if p.gen.fence.err() == nil {
			return p.gen, nil
		}
		p.appending.Unlock()
		if err := p.healNow(); err != nil {
			return nil, err
		}
	}
}

// finish waits until a batch is durable and makes it readable.
func (p *Log) finish(g *generation, b *pebble.Batch, first, last uint64) error {
	if p.cfg.sync {
		if err := b.SyncWait(); err != nil {
			g.fence.fail(err)
		}
	}
	// A batch in a failed database has nothing that could be lost.
	_ = b.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if last <= g.acked {
		// A later batch was faster to get here, and it can't be durable without
		// this one.
		return nil
	}
	// With mu held: healing reads acked with mu held after the fence has failed,
	// so it sees every batch that was acknowledged.
	if err := g.fence.err(); err != nil {
		return failure(err)
	}
	if p.mu.first == 0 {
		p.mu.first = first
	}
	g.acked = last
	p.acked.Store(last)
	if !p.cfg.sync {
		p.lazy.appended()
	}
	return nil
}

// build fills b with records, their index, and the chunks that they complete. It
// reports whether the keeper may have work.
func (p *Log) build(b *pebble.Batch, recs []persist.Record) (due bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	chunks := len(p.mu.chunks)
	for i := range recs {
		r := &recs[i]
		putRecord(b, r)
		p.appending.postings.add(b, r)
		p.mu.countRecord(r.ID, r.Topic, r.Users != nil, r.Time, int64(r.Size()), b)
	}
	p.appending.postings.flush(b)
	return p.mu.due() || len(p.mu.chunks) > chunks && !p.reserved.Load()
}

// putRecord adds a record without its index. A batch only grows in memory, so
// nothing here can fail.
func putRecord(b *pebble.Batch, r *persist.Record) {
	op := b.SetDeferred(1+8, valueLen(r))
	recordKey(op.Key[:0], r.ID)
	appendValue(op.Value[:0], r)
	_ = op.Finish()
}

// putIndexKeys adds a key for each stream the record is in.
func putIndexKeys(b *pebble.Batch, r *persist.Record) {
	streams.Each(r.Users, r.Topic, func(prefix, name string) {
		op := b.SetDeferred(indexKeyLen(prefix, name), 0)
		putIndexKey(op.Key, prefix, name, r.ID)
		_ = op.Finish()
	})
}

// batchLen returns about how many bytes a batch of recs takes at most.
func batchLen(recs []persist.Record) int {
	const header, perKey = 12, 8 // of Pebble's format
	n := header
	for i := range recs {
		r := &recs[i]
		n += perKey + 9 + valueLen(r)
		if r.Users == nil {
			n += perKey + indexKeyLen(streams.TopicPrefix, r.Topic)
			continue
		}
		streams.Each(r.Users, r.Topic, func(prefix, name string) { n += perKey + indexKeyLen(prefix, name) })
	}
	return n
}
