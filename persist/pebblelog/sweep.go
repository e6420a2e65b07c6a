package pebblelog

import (
	"bytes"
	"slices"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/merge"
	"github.com/spatehub/spate/persist/internal/streams"
)

// fewRecords is for how many IDs at most a reader of patterns goes through the records at
// once: a client that was away for a moment wants fewer than there are topics.
const fewRecords = 256

// sweep has the reader, which was started, read the topics with these prefixes too, as
// far as the set follows them. In a segment they lie next to each other, by topic and
// not by ID, so that a segment is read as a whole or not at all.
func (ix *indexReader) sweep(prefixes []string, set *persist.TopicSet, after uint64) {
	if len(prefixes) == 0 {
		return
	}
	ix.set = set
	for _, p := range prefixes {
		ix.cursors = append(ix.cursors, &merge.Cursor{Name: streams.Topic(p), Many: true, UpTo: after})
	}
	ix.budget = scansPerSeek * max(seekBudget, 4*len(ix.cursors))
	ix.merger = merge.New(slices.Clone(ix.cursors), ix.refill)
}

// refillMany reads on in the streams that begin with the name of c: those of the segment
// of the next possible ID. It costs in proportion to the topics that it passes, and to
// their IDs that are still to come. If the budget does not suffice, c stays where it is;
// then a sixteenth of all the IDs of the segment are wanted, or almost, or have topics
// that the pattern would have to be asked about.
func (ix *indexReader) refillMany(c *merge.Cursor) error {
	next := c.UpTo + 1
	seg := next >> segmentBits
	start := append(appendSegment(nil, seg), c.Name...)
	ids, passed := c.Buf[:0], 0
	ok := ix.seekTo(start)
	for ok && bytes.HasPrefix(ix.it.Key(), start) {
		if ix.budget--; ix.budget <= 0 {
			return errBudget
		}
		*ix.looks++
		key := ix.it.Key()
		stream, last := key[:len(key)-indexTail], indexID(seg, key)
		var skipTo uint64 // to this ID of the same topic, or where it is 0 to the next topic
		switch {
		case !ix.set.Follows(text(stream[indexHead+len(streams.TopicPrefix):])) || last > ix.upTo:
		case last < next:
			skipTo = next
		default:
			gaps, err := ix.it.ValueAndErr()
			if err != nil {
				return err
			}
			had := len(ids)
			if ids, err = appendPosting(slices.Grow(ids, maxPosting), last, gaps, next, ix.upTo); err != nil {
				return err
			}
			ix.budget -= len(ids) - had
			ok, passed = ix.it.Next(), 0
			continue
		}
		// Most topics have a few lists: a seek is for what is long.
		if passed++; passed < scansPerSeek {
			ok = ix.it.Next()
			continue
		}
		passed = 0
		ok = ix.seekTo(skipKey(stream, skipTo))
	}
	slices.Sort(ids)
	c.Buf, c.IDs = ids, ids
	return ix.endSegment(c, seg, ok)
}

// skipKey is the key from which on to look for an ID of a stream, or for the next stream.
// stream is all of a key that is before the end of the stream's name.
func skipKey(stream []byte, id uint64) []byte {
	key := append(slices.Grow([]byte(nil), len(stream)+indexTail), stream...)
	if id == 0 {
		return append(key, 1) // the name ends with 0
	}
	return appendLow(append(key, 0), id)
}
