package persisttest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spatehub/spate/persist"
)

func checkEmpty(t *logTest) {
	if f, l, fl := t.log.First(), t.log.Last(), t.log.Floor([]string{"a"}); f != 0 || l != 0 || fl != 0 {
		t.broken("First %d, Last %d, Floor %d", f, l, fl)
	}
	for _, after := range []uint64{0, 7} {
		if p := t.read(after, persist.Limit{}); len(p.Records) != 0 || p.UpTo != after {
			t.broken("after %d: %d records, UpTo %d", after, len(p.Records), p.UpTo)
		}
	}
}

// varied returns records of all kinds.
func varied() []persist.Record {
	long := make([]string, 50)
	for i := range long {
		long[i] = fmt.Sprintf("user-%d", i)
	}
	big := bytes.Repeat([]byte("y"), 100_000)
	return []persist.Record{
		{ID: 10, Time: 5, Frame: frame(10, "plain")},
		{ID: 11, Time: 5, Topic: "topic", Frame: frame(11, "topic")},
		{ID: 12, Time: 6, Topic: "topic\x01ü", Key: "key", Frame: frame(12, "key")},
		{ID: 13, Time: 6, Users: []string{"u1"}, Frame: frame(13, "one user")},
		{ID: 20, Time: 7, Users: long, Topic: "topic", Frame: frame(20, "many users")},
		{ID: 1 << 40, Time: 8, Frame: frame(1<<40, string(big))},
		{ID: 1 << 62, Time: 9, Key: "k", Frame: frame(1<<62, "late")},
		{ID: 1<<62 + 1, Time: 9, Topic: name256, Key: name256, Users: []string{name256, "u"}, Frame: frame(1<<62+1, "long names")},
	}
}

// name256 is as long as a name may be.
var name256 = strings.Repeat("n", 256)

func (t *logTest) same(got, want persist.Record) {
	t.Helper()
	if got.ID != want.ID || got.Topic != want.Topic || got.Key != want.Key ||
		!slices.Equal(got.Users, want.Users) || (got.Users == nil) != (want.Users == nil) {
		t.broken("got ID %d, users %q, topic %q, key %q\n\twant ID %d, users %q, topic %q, key %q",
			got.ID, got.Users, got.Topic, got.Key, want.ID, want.Users, want.Topic, want.Key)
	}
	if !bytes.Equal(got.Frame, want.Frame) {
		t.broken("record %d: got frame %.80q, want %.80q", want.ID, got.Frame, want.Frame)
	}
}

func (t *logTest) sameAll(got, want []persist.Record) {
	t.Helper()
	if !slices.Equal(ids(got), ids(want)) {
		t.broken("got IDs %v\n\twant %v", ids(got), ids(want))
	}
	for i := range want {
		t.same(got[i], want[i])
	}
}

func checkRoundTrip(t *logTest) {
	want := varied()
	t.append(want[:3]...)
	t.append(want[3:]...)
	t.sameAll(t.readAll(0, persist.Limit{}), want)
}

func checkOrder(t *logTest) {
	t.appendIDs(5, 7)
	for _, bad := range [][]uint64{{0}, {5}, {6}, {7}, {8, 8}, {9, 8}, {8, 9, 3}} {
		recs := make([]persist.Record, len(bad))
		for i, id := range bad {
			recs[i] = plain(id)
		}
		t.wantErr(fmt.Sprintf("Append of %v after 7", bad), t.log.Append(context.Background(), recs), persist.ErrOrder)
	}
	if got := ids(t.readAll(0, persist.Limit{})); !slices.Equal(got, []uint64{5, 7}) {
		t.broken("the log then holds %v", got)
	}
	t.appendIDs(8, 9)
}

func checkEmptyBatch(t *logTest) {
	t.append()
	t.appendIDs(3)
	t.append()
	if l := t.log.Last(); l != 3 {
		t.broken("Last is %d", l)
	}
}

func checkPaging(t *logTest) {
	var want []uint64
	for i := range uint64(40) {
		want = append(want, 100+i*i)
	}
	for batch := range slices.Chunk(want, 7) {
		t.appendIDs(batch...)
	}
	for _, n := range []int{1, 2, 3, 7, 39, 40, 41, 0} {
		lim := persist.Limit{Records: n}
		if got := ids(t.readAll(0, lim)); !slices.Equal(got, want) {
			t.broken("with pages of %d: %v\n\twant %v", n, got, want)
		}
		if p := t.read(0, lim); n > 0 && len(p.Records) > n {
			t.broken("a page of at most %d has %d records", n, len(p.Records))
		}
	}
}

func checkBytes(t *logTest) {
	t.appendIDs(1, 2, 3, 4, 5)
	one := len(frame(1, "x"))
	for _, c := range []struct{ bytes, records int }{{1, 1}, {one, 1}, {2*one - 1, 1}, {2 * one, 2}, {100 * one, 5}} {
		if p := t.read(0, persist.Limit{Bytes: c.bytes}); len(p.Records) != c.records {
			t.broken("with %d bytes and frames of %d: %d records, want %d", c.bytes, one, len(p.Records), c.records)
		}
		if got := t.readAll(0, persist.Limit{Bytes: c.bytes}); len(got) != 5 {
			t.broken("pages of %d bytes bring %d of 5 records", c.bytes, len(got))
		}
	}
}

func checkAfter(t *logTest) {
	all := []uint64{10, 20, 30}
	t.appendIDs(all...)
	for after := range uint64(35) {
		want := slices.DeleteFunc(slices.Clone(all), func(id uint64) bool { return id <= after })
		if got := ids(t.readAll(after, persist.Limit{})); !slices.Equal(got, want) {
			t.broken("after %d: %v, want %v", after, got, want)
		}
	}
}

func checkUpToDate(t *logTest) {
	t.appendIDs(10, 20)
	for _, after := range []uint64{20, 21, 1 << 63} {
		if p := t.read(after, persist.Limit{}); len(p.Records) != 0 || p.UpTo != after {
			t.broken("after %d: records %v, UpTo %d", after, ids(p.Records), p.UpTo)
		}
	}
	t.appendIDs(21)
	if p := t.read(20, persist.Limit{}); len(p.Records) != 1 {
		t.broken("the record that came then was not read")
	}
}

func checkHas(t *logTest) {
	t.appendIDs(10, 11, 13)
	for id, want := range []bool{10: true, 11: true, 13: true, 15: false} {
		got, err := t.log.Has(context.Background(), uint64(id))
		t.must(err)
		if got != want {
			t.broken("Has(%d) is %v", id, got)
		}
	}
}

func checkEnds(t *logTest) {
	t.appendIDs(10)
	t.appendIDs(11, 15)
	if f, l := t.log.First(), t.log.Last(); f != 10 || l != 15 {
		t.broken("First %d, Last %d; want 10, 15", f, l)
	}
}

func checkCopyIn(t *logTest) {
	r := plain(1)
	r.Users = []string{"u1", "u2"}
	want := persist.Record{ID: 1, Users: []string{"u1", "u2"}, Frame: bytes.Clone(r.Frame)}
	t.append(r)
	clear(r.Frame)
	r.Users[0] = "other"
	t.same(t.read(0, persist.Limit{}).Records[0], want)
}

func checkCopyOut(t *logTest) {
	r := plain(1)
	r.Users = []string{"u1", "u2"}
	next := plain(2)
	t.append(r, next)
	p := t.read(0, persist.Limit{})
	clear(p.Records[0].Frame)
	p.Records[0].Users[0] = "other"
	// An append must not reach the neighbour either.
	p.Records[0].Frame = append(p.Records[0].Frame, "overflow"...)
	p.Records[0].Users = append(p.Records[0].Users, "overflow")
	t.same(p.Records[1], next)
	t.same(t.read(0, persist.Limit{}).Records[0], r)
}

func checkCancelled(t *logTest) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	t.wantErr("Append", t.log.Append(ctx, []persist.Record{plain(1)}), context.Canceled)
	if got := t.readAll(0, persist.Limit{}); len(got) != 0 {
		t.broken("the log then holds %v", ids(got))
	}
	_, err := t.log.Read(ctx, 0, persist.Limit{})
	t.wantErr("Read", err, context.Canceled)
}

func checkClosed(t *logTest) {
	t.appendIDs(1)
	t.must(t.log.Close())
	ctx := context.Background()
	t.wantErr("Append", t.log.Append(ctx, []persist.Record{plain(2)}), persist.ErrClosed)
	_, err := t.log.Read(ctx, 0, persist.Limit{})
	t.wantErr("Read", err, persist.ErrClosed)
	_, err = t.log.Has(ctx, 1)
	t.wantErr("Has", err, persist.ErrClosed)
	if l, ok := t.log.(persist.Querier); ok {
		_, err = l.Query(ctx, persist.Query{Public: true}, 0, persist.Limit{})
		t.wantErr("Query", err, persist.ErrClosed)
	}
	if l, ok := t.log.(persist.Pipeliner); ok {
		_, err = l.Begin([]persist.Record{plain(2)})
		t.wantErr("Begin", err, persist.ErrClosed)
	}
	t.must(t.log.Close())
}
