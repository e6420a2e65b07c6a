package pebblelog

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/spatehub/spate/persist"
)

// keptBudget is how many steps of the index one Kept makes, but for two seeks a topic:
// what a topic needs less than its part of them is for those behind it.
const keptBudget = 1 << 19

// keptChunk is how many records Kept counts before it looks whether it still has to:
// while it counts, a log that has failed can't be opened anew.
const keptChunk = 1 << 12

// Kept implements [persist.Counted] by the index.
func (p *Log) Kept(ctx context.Context, topics []string) ([]persist.Kept, error) {
	v, err := p.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer p.release()
	all := make([]persist.Kept, len(topics))
	if v.upTo == 0 || len(topics) == 0 {
		return all, nil
	}
	if err := p.countKept(ctx, &v, topics, all); err != nil {
		return nil, readError(err)
	}
	return all, nil
}

func (p *Log) countKept(ctx context.Context, v *view, topics []string, all []persist.Kept) (err error) {
	ix, err := v.newIndex(nil, v.floor)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ix.close()) }()
	records, err := v.records(v.floor, v.upTo)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	left := p.cfg.keptBudget
	for i, topic := range topics {
		if topic == "" {
			continue
		}
		share := max(left/(len(topics)-i), 2*scansPerSeek)
		ix.start(streamKinds(0).names(topic), p.topicFloor(v, topic))
		ix.budget = share
		if all[i], err = ix.kept(ctx, records); err != nil {
			return err
		}
		left -= min(left, share-max(ix.budget, 0))
	}
	return nil
}

// topicFloor returns an ID up to which there is nothing of the topic.
func (p *Log) topicFloor(v *view, topic string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	floor := max(v.floor, p.mu.floors.Named(topic))
	if t := p.mu.topics.Get(topic); t != nil {
		floor = max(floor, max(t.from, 1)-1)
	}
	return floor
}

// kept counts what is left in the streams that were started. The oldest of a list of the
// index may have been removed without it, so it is looked for among the records.
func (ix *indexReader) kept(ctx context.Context, records *pebble.Iterator) (k persist.Kept, err error) {
	for looked := 0; ; looked++ {
		if looked%keptChunk == 0 {
			if err := ctx.Err(); err != nil {
				return k, err
			}
		}
		id, ok, err := ix.merger.Next()
		switch {
		case errors.Is(err, errBudget):
			k.More = true
			return k, nil
		case err != nil || !ok:
			return k, err
		}
		if k.First == 0 {
			if found, err := begins(&k, records, id); !found {
				if err != nil {
					return k, err
				}
				ix.budget -= scansPerSeek
				continue
			}
		}
		k.Records++
	}
}

// begins notes the record as the oldest one, if it is there.
func begins(k *persist.Kept, records *pebble.Iterator, id uint64) (found bool, err error) {
	if !records.SeekGE(recordKey(nil, id)) || keyID(records.Key()) != id {
		return false, records.Error()
	}
	val, err := records.ValueAndErr()
	if err != nil {
		return false, err
	}
	h, err := parseHeader(val)
	if err != nil {
		return false, err
	}
	k.First, k.Since = id, time.UnixMilli(h.time)
	return true, nil
}
