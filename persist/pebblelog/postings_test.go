package pebblelog_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// TestPostingsAgainstScan holds that the index finds what a scan of all records
// finds, from every position, for batches that share streams in every way: one
// topic, several in turn, runs longer than a list, the borders of segments.
func TestPostingsAgainstScan(t *testing.T) {
	rnd := logtest.Seeded(t, "persist/pebblelog")
	l := openPebble(t, "log", pebblelog.WithFS(vfs.NewMem()))
	defer func() { require.NoError(t, l.Close()) }()
	const segment = 1 << 18
	id := uint64(3*segment - 400)
	var all []persist.Record
	for range 60 {
		recs := make([]persist.Record, 1+rnd.IntN(600))
		topics := 1 + rnd.IntN(1+rnd.IntN(300))
		for i := range recs {
			id += 1 + uint64(rnd.IntN(3)*rnd.IntN(100))
			r := persist.Record{ID: id, Time: 1, Frame: logtest.Frame(id, 1)}
			if n := rnd.IntN(topics + 1); n > 0 {
				r.Topic = fmt.Sprint("t", n)
			}
			if rnd.IntN(10) == 0 {
				r.Users = []string{fmt.Sprint("u", rnd.IntN(3))}
			}
			recs[i] = r
		}
		require.NoError(t, l.Append(ctx, recs))
		all = append(all, recs...)
	}
	queries := []persist.Query{{Public: true}, {User: "u1"}, {Public: true, User: "u2", Topics: []string{"t1", "t2", "t200"}}}
	for i := range 20 {
		queries = append(queries, persist.Query{Topics: []string{fmt.Sprint("t", 1+i)}})
	}
	for _, q := range queries {
		for range 10 {
			after := all[rnd.IntN(len(all))].ID - uint64(rnd.IntN(2))
			want := []uint64{}
			for i := range all {
				if all[i].ID > after && selected(q, &all[i]) {
					want = append(want, all[i].ID)
				}
			}
			got := logtest.IDs(logtest.QueryAll(t, l, q, after, 1+rnd.IntN(400)))
			require.True(t, slices.Equal(want, got), "%+v after %d: want %v, got %v", q, after, want, got)
		}
	}
}

// selected is Query's contract, the plain way.
func selected(q persist.Query, r *persist.Record) bool {
	if r.Users != nil {
		return slices.Contains(r.Users, q.User)
	}
	return r.Topic == "" && q.Public || slices.Contains(q.Topics, r.Topic)
}

// TestIndexKeysAreShared holds that records for everyone cost the index a key for
// a run of them, not one each.
func TestIndexKeysAreShared(t *testing.T) {
	l := openPebble(t, "log", pebblelog.WithFS(vfs.NewMem()))
	defer func() { require.NoError(t, l.Close()) }()
	recs := logtest.Records(logtest.Sequence(1, 1024)...)
	for i := range recs {
		recs[i].Topic = fmt.Sprint("t", i%2)
	}
	require.NoError(t, l.Append(ctx, recs))
	require.Equal(t, 2*512/128, l.CountKeys('i'))
}

// TestRetentionOfATopicSparesItsList holds that a record which goes takes no other
// of its list along: what is left of the topic, and of others, is found as before.
func TestRetentionOfATopicSparesItsList(t *testing.T) {
	l := openPebble(t, "log", pebblelog.WithFS(vfs.NewMem()),
		pebblelog.WithRetention(persist.Retention{Topics: map[string]persist.Retention{"few": {MaxCount: 50}}}))
	defer func() { require.NoError(t, l.Close()) }()
	for from := uint64(1); from < 2000; from += 200 {
		recs := logtest.Records(logtest.Sequence(from, from+199)...)
		for i := range recs {
			recs[i].Topic = []string{"few", "many"}[i%2]
			if i%5 == 0 {
				recs[i].Users = []string{"u"}
			}
		}
		require.NoError(t, l.Append(ctx, recs))
		l.Settle()
	}
	kept := logtest.ReadAll(t, l, 0, 1000)
	q := persist.Query{User: "u", Topics: []string{"few", "many"}}
	require.Equal(t, logtest.IDs(kept), logtest.IDs(logtest.QueryAll(t, l, q, 0, 70)))
	few := 0
	for i := range kept {
		if kept[i].Topic == "few" {
			few++
		}
	}
	require.InDelta(t, 50, few, 10)
	require.Len(t, kept, 1000+few)
}

// TestOpensALogOfVersion1 holds that a log whose index has a key for each record is
// read, goes on, and is marked for programs that do not know lists.
func TestOpensALogOfVersion1(t *testing.T) {
	fs := vfs.NewMem()
	l := openPebble(t, "log", pebblelog.WithFS(fs))
	require.NoError(t, l.Close())
	opts := pebblelog.PebbleOptions()
	opts.FS = fs
	db, err := pebble.Open("log", opts)
	require.NoError(t, err)
	require.NoError(t, db.Set([]byte("sV"), []byte{1}, pebble.Sync))
	for id := byte(1); id <= 9; id++ {
		r := persist.Record{ID: uint64(id), Topic: "t", Time: 1, Frame: logtest.Frame(uint64(id), 1)}
		require.NoError(t, db.Set([]byte{'e', 0, 0, 0, 0, 0, 0, 0, id}, pebblelog.EncodeValue(&r), pebble.Sync))
		require.NoError(t, db.Set([]byte{'i', 0, 0, 0, 0, 0, 0, 't', 't', 0, 0, 0, id}, nil, pebble.Sync))
	}
	require.NoError(t, db.Close())

	l = openPebble(t, "log", pebblelog.WithFS(fs))
	recs := logtest.Records(10, 11)
	recs[0].Topic, recs[1].Topic = "t", "t"
	require.NoError(t, l.Append(ctx, recs))
	require.Equal(t, logtest.Sequence(4, 11), logtest.IDs(logtest.QueryAll(t, l, persist.Query{Topics: []string{"t"}}, 3, 2)))
	require.NoError(t, l.Close())

	db, err = pebble.Open("log", opts)
	require.NoError(t, err)
	v, closer, err := db.Get([]byte("sV"))
	require.NoError(t, err)
	require.Equal(t, []byte{2}, v)
	require.NoError(t, closer.Close())
	require.NoError(t, db.Close())
}

// FuzzPosting holds that a value which is no list is an error, and that one which
// is yields ascending IDs within the bounds asked for.
func FuzzPosting(f *testing.F) {
	f.Add(uint64(1000), []byte{1, 2, 3}, uint64(995), uint64(2000), 8)
	f.Add(uint64(1), []byte{1}, uint64(0), uint64(1), 1)
	f.Add(uint64(5), []byte{0x80}, uint64(0), uint64(9), 3)
	f.Fuzz(func(t *testing.T, last uint64, gaps []byte, from, upTo uint64, room int) {
		room = max(0, min(room, 1000))
		ids, err := pebblelog.AppendPosting(make([]uint64, 0, room), last, gaps, from, upTo)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(ids), room)
		for i, id := range ids {
			require.True(t, id >= from && id <= upTo && id <= last)
			require.True(t, i == 0 || ids[i-1] < id)
		}
	})
}

// TestListsOfAFailedBatchGo holds that healing takes a failed batch out of the index
// as well, and leaves the lists of the others.
func TestListsOfAFailedBatchGo(t *testing.T) {
	inj := failing(syscall.EIO, errorfs.OpFileSync, errorfs.OpFileSyncData)
	clock := logtest.NewClock()
	l := openPebble(t, "log", pebblelog.WithFS(errorfs.Wrap(vfs.NewMem(), inj)), pebblelog.WithClock(clock))
	defer func() { require.NoError(t, l.Close()) }()
	batch := func(from uint64) []persist.Record {
		recs := logtest.Records(logtest.Sequence(from, from+199)...)
		for i := range recs {
			recs[i].Topic = []string{"a", "b"}[i%2]
		}
		return recs
	}
	require.NoError(t, l.Append(ctx, batch(1)))
	inj.On()
	require.ErrorIs(t, l.Append(ctx, batch(201)), syscall.EIO)
	inj.Off()
	clock.Advance(maxPause) // the keeper may have tried meanwhile
	require.NoError(t, l.Append(ctx, batch(401)))
	require.Equal(t, 2+2, l.CountKeys('i'))
	got := logtest.IDs(logtest.QueryAll(t, l, persist.Query{Topics: []string{"a", "b"}}, 0, 70))
	require.Equal(t, append(logtest.Sequence(1, 200), logtest.Sequence(401, 600)...), got)
}
