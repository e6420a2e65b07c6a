package pebblelog

import (
	"bytes"
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/merge"
	"github.com/spatehub/spate/persist/internal/streams"
)

const (
	// seekBudget is how many seeks in the index one Query may make, at least. A
	// reader whose streams are empty for a long time gets an empty page that
	// reaches as far as that went.
	seekBudget = 1024

	// scansPerSeek is how many steps of an iterator cost about as much as a seek: a
	// step is 0.3 µs, a seek into a block that is not in the cache about 8 µs
	// (BenchmarkDense, BenchmarkSparse), and into one that is, less.
	scansPerSeek = 16

	firstRefill = 16
	maxRefill   = 512
)

// Query implements [persist.Querier].
func (p *Log) Query(ctx context.Context, q persist.Query, after uint64, lim persist.Limit) (persist.Page, error) {
	if q.Everything() {
		return p.Read(ctx, after, lim)
	}
	v, err := p.acquire(ctx)
	if err != nil {
		return persist.Page{}, err
	}
	defer p.release()
	if after >= v.upTo {
		return persist.Page{UpTo: after}, nil
	}
	b := persist.NewPageBuilder(after, lim)
	if err := v.query(&b, &q, after); err != nil {
		return persist.Page{}, readError(err)
	}
	return b.Page, nil
}

// query adds what q selects to the page: by the index, or by going through the records
// where patterns select in too much of it.
func (v *view) query(b *persist.PageBuilder, q *persist.Query, after uint64) (err error) {
	set := persist.NewTopicSet(q.Topics)
	prefixes, topics, ok := set.Ranges()
	if set.Wild() && (!ok || v.upTo-after <= fewRecords) {
		return v.scan(b, q, &set, after)
	}
	ix, err := v.newIndex(streams.Selected(q.Public, topics, q.User), after)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ix.close()) }()
	ix.sweep(prefixes, &set, after)
	ids, upTo, err := ix.find(b.MaxRecords())
	switch {
	case err != nil:
		return err
	case set.Wild() && upTo == after:
		return v.scan(b, q, &set, after)
	}
	fits, err := v.fetch(b, q, ids)
	if err == nil && fits {
		b.Reach(upTo)
	}
	return err
}

// find returns the next IDs, at most limit, and up to where there are no others.
func (ix *indexReader) find(limit int) (ids []uint64, upTo uint64, err error) {
	for len(ids) < limit {
		id, ok, err := ix.merger.Next()
		switch {
		case errors.Is(err, errBudget):
			upTo, _ = ix.merger.Known()
			return ids, upTo, nil
		case err != nil:
			return nil, 0, err
		case !ok:
			return ids, ix.upTo, nil
		}
		ids = append(ids, id)
	}
	return ids, ids[len(ids)-1], nil
}

// fetch adds the records with these IDs to the page. It reports false if they did
// not all fit. IDs without a record, or with one that q does not select, are
// skipped: retention removes the record first, and the index when it can.
func (v *view) fetch(b *persist.PageBuilder, q *persist.Query, ids []uint64) (fits bool, err error) {
	if len(ids) == 0 {
		return true, nil
	}
	it, err := v.records(ids[0]-1, ids[len(ids)-1])
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok && len(ids) > 0; {
		at := keyID(it.Key())
		for len(ids) > 0 && ids[0] < at {
			ids = ids[1:]
		}
		switch {
		case len(ids) == 0:
		case ids[0] == at:
			if fits, err := v.take(b, q, at, it); !fits || err != nil {
				return fits, err
			}
			ids = ids[1:]
			fallthrough
		default:
			ok = len(ids) > 0 && advance(it, at, ids[0])
		}
	}
	return true, it.Error()
}

// advance moves from the record at to the first one ≥ id.
func advance(it *pebble.Iterator, at, id uint64) bool {
	if id-at > scansPerSeek {
		var key [9]byte
		return it.SeekGE(recordKey(key[:0], id))
	}
	for it.Next() {
		if keyID(it.Key()) >= id {
			return true
		}
	}
	return false
}

func (v *view) take(b *persist.PageBuilder, q *persist.Query, id uint64, it *pebble.Iterator) (fits bool, err error) {
	val, err := it.ValueAndErr()
	if err != nil {
		return false, err
	}
	if fits, err = addValue(b, id, val); !fits || err != nil {
		return fits, err
	}
	if n := len(b.Page.Records) - 1; !q.Selects(&b.Page.Records[n]) {
		b.Page.Bytes -= len(b.Page.Records[n].Frame)
		b.Page.Records = b.Page.Records[:n]
	}
	return true, nil
}

// errBudget says that the index reader has looked at as much as it may.
var errBudget = errors.New("persist: budget of the query is used up")

// indexReader reads several streams of the index through one iterator.
type indexReader struct {
	it      *pebble.Iterator
	upTo    uint64
	merger  *merge.Merger
	cursors []*merge.Cursor
	budget  int // steps that may still be made
	key     []byte
	set     *persist.TopicSet // what is wanted of streams that only begin with a name
	looks   *int
}

// newIndex returns a reader of these streams behind an ID. It may be started anew for
// others, behind that ID or a later one.
func (v *view) newIndex(streams []string, after uint64) (*indexReader, error) {
	after = max(after, v.floor)
	var lower, upper [indexHead]byte
	it, err := v.db.NewIter(&pebble.IterOptions{
		LowerBound: appendSegment(lower[:0], (after+1)>>segmentBits),
		UpperBound: appendSegment(upper[:0], v.upTo>>segmentBits+1),
	})
	if err != nil {
		return nil, err
	}
	ix := &indexReader{it: it, upTo: v.upTo, looks: &v.looks}
	ix.start(streams, after)
	return ix, nil
}

// start begins to read these streams.
func (ix *indexReader) start(streams []string, after uint64) {
	ix.budget = scansPerSeek * max(seekBudget, 4*len(streams))
	cursors := make([]*merge.Cursor, len(streams))
	for i, name := range streams {
		cursors[i] = &merge.Cursor{Name: name, UpTo: after, Batch: firstRefill}
	}
	ix.cursors = append(ix.cursors[:0], cursors...)
	ix.merger = merge.New(cursors, ix.refill)
}

// expect says that the streams have not more than n IDs, so that the reader stops there.
func (ix *indexReader) expect(n int) {
	for _, c := range ix.cursors {
		c.Batch = max(1, min(n, maxRefill))
	}
}

func (ix *indexReader) close() error { return ix.it.Close() }

// refill reads on in a stream with one seek, which gets it at least a bit further.
// It does not go on until something is found: the merger then turns to the stream
// that is furthest behind, so that when the budget is used up all have got on.
//
// A seek that finds nothing of the stream in a segment lands on a key from which
// the next segment with anything in it is known, so that empty segments cost
// nothing.
func (ix *indexReader) refill(c *merge.Cursor) error {
	if c.UpTo >= ix.upTo {
		c.Done = true
		return nil
	}
	if ix.budget <= 0 {
		return errBudget
	}
	if c.Many {
		return ix.refillMany(c)
	}
	if cap(c.Buf) < c.Batch {
		c.Buf = make([]uint64, 0, c.Batch)
		c.Batch = min(4*c.Batch, maxRefill)
	}
	c.IDs = c.Buf[:0]
	return ix.seek(c)
}

// seek reads what the segment of the next possible ID of c holds of the stream.
func (ix *indexReader) seek(c *merge.Cursor) error {
	next := c.UpTo + 1
	seg := next >> segmentBits
	ix.key = appendStream(ix.key[:0], seg, c.Name)
	prefix := len(ix.key)
	ix.key = appendLow(ix.key, next)
	ok := ix.seekTo(ix.key)
	for ; ok && bytes.HasPrefix(ix.it.Key(), ix.key[:prefix]); ok = ix.it.Next() {
		*ix.looks++
		// Batches are acknowledged as a whole, and a list is of one batch.
		last := indexID(seg, ix.it.Key())
		if last > ix.upTo {
			break
		}
		gaps, err := ix.it.ValueAndErr()
		if err != nil {
			return err
		}
		had := len(c.IDs)
		if c.IDs, err = appendPosting(c.IDs, last, gaps, next, ix.upTo); err != nil {
			return err
		}
		ix.budget -= len(c.IDs) - had
		if len(c.IDs) == cap(c.IDs) {
			c.UpTo = c.IDs[len(c.IDs)-1]
			return nil
		}
		c.UpTo = last
	}
	return ix.endSegment(c, seg, ok)
}

// seekTo moves the iterator.
func (ix *indexReader) seekTo(key []byte) (ok bool) {
	ix.budget -= scansPerSeek
	*ix.looks++
	return ix.it.SeekGE(key)
}

// endSegment notes that c has all of a segment, behind which the iterator is, if it is
// anywhere.
func (ix *indexReader) endSegment(c *merge.Cursor, seg uint64, ok bool) error {
	if !ok {
		c.UpTo = ix.upTo
		return ix.it.Error()
	}
	c.UpTo = min(ix.nextSegment(c, seg)<<segmentBits-1, ix.upTo)
	return nil
}

// nextSegment returns the next segment that may hold something of the streams of c,
// after seg, where the iterator is past them.
func (ix *indexReader) nextSegment(c *merge.Cursor, seg uint64) uint64 {
	landed := indexSegment(ix.it.Key())
	if landed == seg {
		return seg + 1
	}
	ix.key = append(appendSegment(ix.key[:0], landed), c.Name...)
	if !c.Many {
		ix.key = append(ix.key, 0)
	}
	if bytes.Compare(ix.it.Key(), ix.key) > 0 && !bytes.HasPrefix(ix.it.Key(), ix.key) {
		return landed + 1
	}
	return landed
}
