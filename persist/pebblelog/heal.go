package pebblelog

import (
	"bytes"
	"errors"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/streams"
)

// Pauses between attempts to open the directory anew.
const (
	firstPause = 50 * time.Millisecond
	maxPause   = 5 * time.Second
)

// healNow opens the directory anew if the log has failed. It returns nil if the
// log works, else an error that wraps persist.ErrFailed and the cause. Between attempts it
// returns at once.
func (p *Log) healNow() error {
	p.maint.Lock()
	defer p.maint.Unlock()
	return p.healLocked()
}

// healLocked is healNow with maint held.
func (p *Log) healLocked() error {
	if p.closed {
		return persist.ErrClosed
	}
	cause := p.gen.fence.err()
	if cause == nil {
		return nil
	}
	now := p.cfg.clock.Now()
	if now.Before(p.heal.retryAt) {
		return p.unhealed(cause)
	}
	if err := p.replaceTight(); err != nil {
		p.heal.err = told(err)
		p.heal.pause = min(max(2*p.heal.pause, firstPause), maxPause)
		p.heal.retryAt = now.Add(p.heal.pause)
		p.say(slog.LevelWarn, "persist: log could not be opened anew; it will be tried again and again", p.heal.err)
		return p.unhealed(cause)
	}
	p.heal.err, p.heal.pause, p.heal.retryAt = nil, 0, time.Time{}
	p.sayAnew()
	p.cfg.logger.Info("persist: log takes records again", "dir", p.dir, "last", p.acked.Load())
	return nil
}

// replaceTight is replace, also where the disk is full and the bounds allow to remove
// something. maint is held.
func (p *Log) replaceTight() error {
	err := p.replace()
	if !full(err) || !p.overdue() || !p.giveReserve() {
		return err
	}
	if err = p.replace(); err != nil {
		_ = p.makeReserve()
		return err
	}
	// The log works. If making room fails, the keeper goes on with it.
	if err := p.makeRoom(); err != nil && !errors.Is(err, errInterrupted) {
		p.say(slog.LevelWarn, "persist: retention failed", err)
	}
	return nil
}

// unhealed is the error of a log that has failed for a cause and could not be opened
// anew. A full disk is the same for both.
func (p *Log) unhealed(cause error) error {
	if p.heal.err == nil || p.heal.err.Error() == cause.Error() {
		return failure(cause)
	}
	return failure(&toldError{
		text:  cause.Error() + "; then: " + p.heal.err.Error(),
		kind:  cause,
		cause: p.heal.err,
	})
}

// replace puts a new generation in the place of the failed one. maint is held.
func (p *Log) replace() error {
	p.appending.Lock()
	defer p.appending.Unlock()
	old := p.gen
	// Nothing that the old database does reaches the directory from here on.
	old.fence.drain()

	g, err := p.openGeneration()
	if err != nil {
		return err
	}
	st, err := p.restore(old, g)
	// What was removed last may have come back, as retention is not synced. It stays
	// out of sight until it is removed again: readers look at the floor before and after
	// they read, and would not be told of what they missed if it were lowered.
	floor := max(p.floor.Load(), st.floor)
	if err == nil && floor > st.floor {
		st.first, err = seekRecord(g.db, floor, p.acked.Load())
	}
	if err == nil {
		err = g.fence.err()
	}
	if err != nil {
		return errors.Join(err, g.close())
	}

	p.genMu.Lock()
	p.gen = g
	p.mu.Lock()
	p.mu.told.Keep(&p.mu.floors)
	p.mu.told.ReachedAll(&st.floors)
	st.floorTime = max(st.floorTime, p.mu.floorTime)
	p.mu.state = st
	p.floor.Store(floor)
	p.appending.begun = p.acked.Load()
	if open, ok := st.runs.Open(); ok {
		p.appending.begun = max(p.appending.begun, open.First-1)
	}
	p.mu.Unlock()
	p.genMu.Unlock()
	p.retire(old)
	return nil
}

// retire closes a database that was replaced, which no reader uses any more. A backup
// may, for a while. Whatever closing it says, the directory is not its any more.
func (p *Log) retire(g *generation) {
	if g.use.TryLock() {
		_ = g.close()
		return
	}
	p.retired.Go(func() {
		g.use.Lock()
		_ = g.close()
	})
}

// restore makes the new database g hold what was acknowledged and nothing else,
// and returns its state.
func (p *Log) restore(old, g *generation) (state, error) {
	p.mu.Lock()
	acked := p.acked.Load()
	p.mu.Unlock()
	if err := purge(g, acked); err != nil {
		return state{}, err
	}
	st, last, err := load(g, &p.cfg)
	if err != nil || last >= acked {
		return st, err
	}
	// Only without sync: records that were acknowledged had not reached the disk.
	// The old database still has them in memory.
	if err := salvage(old, g, last, acked); err != nil {
		return state{}, err
	}
	st, _, err = load(g, &p.cfg)
	return st, err
}

// purge deletes the records with an ID above last, and all that knows of them: their
// appends have failed, although the disk has them. It counts that the log was healed.
func purge(g *generation, last uint64) error {
	b := g.db.NewBatch()
	defer func() { _ = b.Close() }()
	heals, err := getHeals(g.db)
	if err != nil {
		return err
	}
	putID(b, stateHeals, heals+1)
	if err := purgeRecords(g, b, last); err != nil {
		return err
	}
	return commit(g, b)
}

// purgeRecords adds the removal of the records above last to b.
func purgeRecords(g *generation, b *pebble.Batch, last uint64) error {
	l := loader{db: g.db}
	found := false
	err := l.scan(recordKey(nil, last+1), []byte{keyRecord + 1}, func(key, v []byte) error {
		found = true
		h, err := parseHeader(v)
		if err != nil {
			return err
		}
		r := h.record(keyID(key), v, nil)
		deleteRecord(b, &r)
		return nil
	})
	if err != nil || !found {
		return err
	}
	// A chunk that a failed batch has completed was not completed, and the
	// counters of its topics are too high.
	recount := false
	err = l.scan(chunkKey(nil, 0), []byte{keyChunk + 1}, func(key, v []byte) error {
		c, err := parseChunk(key, v)
		if err == nil && c.last > last {
			_ = b.Delete(key, nil)
			recount = true
		}
		return err
	})
	if err != nil {
		return err
	}
	if recount {
		topics, found, err := getTopics(g.db)
		if err != nil {
			return err
		}
		if found && !bytes.HasSuffix(topics, uncounted) {
			_ = b.Set(stateTopics, append(topics, uncounted...), nil)
		}
	}
	return nil
}

// deleteRecord adds the removal of a record and of its index keys to a batch. A
// list of the index is gone with its last record, so whoever removes records for
// everyone removes all of a batch, or cares for the index otherwise.
func deleteRecord(b *pebble.Batch, r *persist.Record) {
	_ = b.Delete(recordKey(nil, r.ID), nil)
	streams.Each(r.Users, r.Topic, func(prefix, name string) {
		key := make([]byte, indexKeyLen(prefix, name))
		putIndexKey(key, prefix, name, r.ID)
		_ = b.Delete(key, nil)
	})
}

// salvage copies the records with after < ID ≤ upTo from one database to another.
func salvage(from, to *generation, after, upTo uint64) error {
	v := view{db: from.db, upTo: upTo}
	var index postings
	for after < upTo {
		page := persist.NewPageBuilder(after, persist.Limit{})
		if err := v.read(&page, after); err != nil {
			return err
		}
		b := to.db.NewBatch()
		for i := range page.Page.Records {
			putRecord(b, &page.Page.Records[i])
			index.add(b, &page.Page.Records[i])
		}
		index.flush(b)
		err := errors.Join(commit(to, b), b.Close())
		if err != nil {
			return err
		}
		after = page.Page.UpTo
	}
	return nil
}

// commit applies a batch and waits until it is durable.
func commit(g *generation, b *pebble.Batch) error {
	if b.Empty() {
		return nil
	}
	if err := g.db.Apply(b, pebble.Sync); err != nil {
		g.fence.fail(err)
	}
	return g.fence.err()
}
