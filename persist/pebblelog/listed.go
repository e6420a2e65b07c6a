package pebblelog

import (
	"bytes"
	"context"
	"errors"

	"github.com/spatehub/spate/persist/internal/streams"
)

// listBudget is how many steps of the index one Topics makes.
const listBudget = 1 << 20

// Topics implements [persist.Listed] by the index, from its newest segment back.
func (p *Log) Topics(ctx context.Context, limit int) (topics []string, more bool, err error) {
	v, err := p.acquire(ctx)
	if err != nil {
		return nil, false, err
	}
	defer p.release()
	if v.upTo == 0 {
		return nil, false, nil
	}
	topics, more, err = p.listTopics(ctx, &v, limit)
	switch {
	case ctx.Err() != nil:
		return nil, false, ctx.Err()
	case err != nil:
		return nil, false, readError(err)
	}
	return topics, more, nil
}

func (p *Log) listTopics(ctx context.Context, v *view, limit int) (topics []string, more bool, err error) {
	ix, err := v.newIndex(nil, v.floor)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, ix.close()) }()
	ix.budget = listBudget
	l := listing{p: p, v: v, ix: ix, limit: limit, known: map[string]struct{}{}}
	for ok := ix.it.Last(); ok; {
		seg := indexSegment(ix.it.Key())
		for _, kind := range []string{streams.TopicPrefix, streams.PrivatePrefix} {
			if !l.add(ctx, seg, kind) {
				return l.topics, true, ix.it.Error()
			}
		}
		ok = ix.it.SeekLT(appendSegment(nil, seg))
	}
	return l.topics, false, ix.it.Error()
}

// listing is the topics that were found.
type listing struct {
	p      *Log
	v      *view
	ix     *indexReader
	limit  int
	known  map[string]struct{}
	topics []string
}

// add adds the topics whose streams of a kind are in the segment. It returns false where it
// did not come to their end.
func (l *listing) add(ctx context.Context, seg uint64, kind string) bool {
	ix, start := l.ix, append(appendSegment(nil, seg), kind...)
	passed := 0
	for ok := ix.seekTo(start); ok && bytes.HasPrefix(ix.it.Key(), start); {
		if ix.budget--; ix.budget <= 0 || ctx.Err() != nil {
			return false
		}
		key := ix.it.Key()
		stream, last := key[:len(key)-indexTail], indexID(seg, key)
		name := stream[indexHead+len(kind):]
		_, known := l.known[string(name)]
		var skipTo uint64 // to this ID of the stream, or where it is 0 to the next stream
		if !known && last <= l.v.upTo {
			topic := string(name)
			if floor := l.p.topicFloor(l.v, topic); last <= floor {
				skipTo = floor + 1 // retention leaves such keys for a while
			} else if len(l.topics) == l.limit {
				return false
			} else {
				l.known[topic] = struct{}{}
				l.topics = append(l.topics, topic)
			}
		}
		// Most streams have a few keys in a segment: a seek is for those that have many.
		if passed++; passed < scansPerSeek {
			ok = ix.it.Next()
			continue
		}
		passed = 0
		if skipTo>>segmentBits != seg {
			skipTo = 0
		}
		ok = ix.seekTo(skipKey(stream, skipTo))
	}
	return ix.it.Error() == nil
}
