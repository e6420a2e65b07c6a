package persisttest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// checkConcurrent appends batches of a known size while readers follow. Each
// reader must see every batch, and at no time a part of one.
func checkConcurrent(t *logTest) {
	const batches, size, readers = 100, 5, 3
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	errs := make(chan error, readers)
	for range readers {
		wg.Go(func() { errs <- follow(ctx, t.log, batches*size, size) })
	}
	recs := make([]persist.Record, size)
	for b := range uint64(batches) {
		for i := range recs {
			recs[i] = plain(1 + b*size + uint64(i))
		}
		if err := t.log.Append(ctx, recs); err != nil {
			cancel()
			wg.Wait()
			t.broken("Append: %v", err)
		}
	}
	wg.Wait()
	for range readers {
		t.must(<-errs)
	}
}

// follow reads n records with the IDs 1, 2, 3… as they come, in batches of size.
func follow(ctx context.Context, l persist.Log, n, size uint64) error {
	seen := uint64(0)
	for seen < n {
		last := l.Last()
		p, err := l.Read(ctx, seen, persist.Limit{Records: 1000})
		if err != nil {
			return err
		}
		for _, r := range p.Records {
			if r.ID != seen+1 {
				return fmt.Errorf("record %d comes after %d", r.ID, seen)
			}
			seen++
		}
		if seen%size != 0 {
			return fmt.Errorf("part of a batch was visible: %d records of batches of %d", seen, size)
		}
		if last > seen {
			return fmt.Errorf("a read that began when Last was %d reached %d only", last, seen)
		}
		if p.UpTo > seen {
			return fmt.Errorf("a page says it is complete up to %d, and the newest record is %d", p.UpTo, seen)
		}
	}
	return nil
}

// appendMixed appends n mixedRecords in batches, a millisecond between one and the next.
func (t *logTest) appendMixed(n int) {
	t.Helper()
	recs := mixedRecords(n)
	for i := range recs {
		recs[i].Time = int64(1_000_000 + i)
	}
	for batch := range slices.Chunk(recs, 90) {
		t.append(batch...)
	}
}

// mixedRecords returns records with all combinations of audience.
func mixedRecords(n int) []persist.Record {
	recs := make([]persist.Record, n)
	for i := range recs {
		r := plain(uint64(1000 + 3*i))
		if k := i % 5; k > 0 {
			r.Topic = []string{"", "t1", "t2", "t3.a", "t3.b.c"}[k]
		}
		switch i % 4 {
		case 1:
			r.Users = []string{fmt.Sprintf("u%d", i%3)}
		case 3:
			r.Users = []string{"u0", "u1", "u2", "u0"}[:2+i%3]
		}
		recs[i] = r
	}
	return recs
}

// selects is what Query promises, in the most obvious form.
func selects(q persist.Query, r persist.Record) bool {
	if !q.Public && len(q.Topics) == 0 && q.User == "" {
		return true
	}
	if r.Users != nil {
		return slices.Contains(r.Users, q.User)
	}
	if r.Topic == "" {
		return q.Public
	}
	return slices.ContainsFunc(q.Topics, func(s string) bool {
		p, err := wire.ParsePattern(s)
		return err == nil && p.Match(r.Topic)
	})
}

func checkQuery(t *logTest) {
	l, ok := t.log.(persist.Querier)
	if !ok {
		t.Skip("the log is no Querier")
	}
	all := mixedRecords(300)
	for batch := range slices.Chunk(all, 37) {
		t.append(batch...)
	}
	for _, q := range []persist.Query{
		{},
		{Public: true},
		{Topics: []string{"t1"}},
		{Topics: []string{"t1", "t3.a", "t1", "none"}},
		{Public: true, Topics: []string{"t2", "t3.b.c"}},
		{User: "u1"},
		{User: "nobody"},
		{User: "u2", Public: true, Topics: []string{"t1", "t2", "t3.a", "t3.b.c"}},
		{Topics: []string{">"}},
		{Topics: []string{"t3.>"}},
		{Topics: []string{"t3.*", "t2", "none.>"}},
		{User: "u1", Public: true, Topics: []string{"*", "*.b.*"}},
		{Topics: []string{"none.>"}},
	} {
		for _, after := range []uint64{0, 1000, 1301, 1897, 1900, 5000} {
			for _, n := range []int{1, 7, 1000} {
				var want []persist.Record
				for _, r := range all {
					if r.ID > after && selects(q, r) {
						want = append(want, r)
					}
				}
				got := t.pages(after, func(after uint64) (persist.Page, error) {
					p, err := l.Query(context.Background(), q, after, persist.Limit{Records: n})
					if len(p.Records) > n {
						t.broken("a page of at most %d has %d records", n, len(p.Records))
					}
					return p, err
				})
				t.sameAll(got, want)
			}
		}
	}
}

func checkPatterns(t *logTest) {
	l, ok := t.log.(persist.Querier)
	if !ok {
		t.Skip("the log is no Querier")
	}
	// IDs far from each other, topics next to each other by name, and streams of other
	// kinds between.
	const n, step = 600, 1 << 13
	tokens := []string{"a", "ab", "a-", "b", "\x7f", "ÿ"}
	all := make([]persist.Record, n)
	for i := range all {
		r := plain(uint64(1+i) * step)
		r.Topic = tokens[i%6] + "." + tokens[i/6%6]
		switch i % 7 {
		case 1:
			r.Topic += "." + tokens[i%5]
		case 3:
			r.Topic = tokens[i/6%6]
		case 4:
			r.Users = []string{"a.b"}
		case 5:
			r.Topic = ""
		}
		all[i] = r
	}
	for batch := range slices.Chunk(all, 97) {
		t.append(batch...)
	}
	for _, q := range []persist.Query{
		{Topics: []string{"a.>"}},
		{Topics: []string{"a.>", "a", "a.a", "ab.ab", "b"}},
		{Topics: []string{"a.a.>", "a.>", "ÿ.>"}, Public: true},
		{Topics: []string{"ab.*", "a.*.b"}, User: "a.b"},
		{Topics: []string{"a.>", "*.b"}},
		{Topics: []string{">"}, Public: true},
		{Topics: []string{"\x7f.>", "c.>", "a-.>"}},
	} {
		for _, after := range []uint64{0, step * n / 2, step*n/2 + 1, step * (n - 10), step * n} {
			for _, size := range []int{3, 1000} {
				var want []persist.Record
				for _, r := range all {
					if r.ID > after && selects(q, r) {
						want = append(want, r)
					}
				}
				t.sameAll(t.pages(after, func(after uint64) (persist.Page, error) {
					return l.Query(context.Background(), q, after, persist.Limit{Records: size})
				}), want)
			}
		}
	}
}

func checkPrivate(t *logTest) {
	l, ok := t.log.(persist.Querier)
	if !ok {
		t.Skip("the log is no Querier")
	}
	t.append(
		persist.Record{ID: 1, Users: []string{"u"}, Frame: frame(1, "secret")},
		persist.Record{ID: 2, Users: []string{"u"}, Topic: "u", Frame: frame(2, "secret")},
		persist.Record{ID: 3, Users: []string{"ua"}, Topic: "t", Frame: frame(3, "secret")},
		persist.Record{ID: 4, Topic: "u", Frame: frame(4, "for topic u")},
	)
	for _, c := range []struct {
		q    persist.Query
		want []uint64
	}{
		{persist.Query{Public: true, Topics: []string{"u", "t", "ua", "", "tu", "uu"}}, []uint64{4}},
		{persist.Query{User: "ua"}, []uint64{3}},
		{persist.Query{User: "u"}, []uint64{1, 2}},
		{persist.Query{User: "t"}, nil},
		{persist.Query{User: "a"}, nil},
	} {
		p, err := l.Query(context.Background(), c.q, 0, persist.Limit{})
		t.must(err)
		if got := ids(p.Records); !slices.Equal(got, c.want) {
			t.broken("%+v returns %v, want %v", c.q, got, c.want)
		}
	}
}

func checkPipeline(t *logTest) {
	l, ok := t.log.(persist.Pipeliner)
	if !ok {
		t.Skip("the log is no Pipeliner")
	}
	var waits []func() error
	for i := range uint64(10) {
		wait, err := l.Begin([]persist.Record{plain(1 + 2*i), plain(2 + 2*i)})
		t.must(err)
		waits = append(waits, wait)
	}
	for i, wait := range waits {
		t.must(wait())
		want := 2 + 2*i
		if got := len(t.readAll(0, persist.Limit{})); got < want {
			t.broken("after %d waits %d records are readable", i+1, got)
		}
	}
	_, err := l.Begin([]persist.Record{plain(20)})
	t.wantErr("Begin of an ID again", err, persist.ErrOrder)
	if got := t.readAll(0, persist.Limit{}); len(got) != 20 {
		t.broken("at the end there are %d records, want 20", len(got))
	}
}
