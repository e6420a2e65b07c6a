package pebblelog_test

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/pebblelog"
)

// appendDense appends records of some 220 bytes of the topic dense, but for one, of the
// topic sparse.
func appendDense(t *testing.T, l *pebblelog.Log, records, sparse uint64) {
	t.Helper()
	const batch = 1000
	for from := uint64(1); from <= records; from += batch {
		recs := make([]persist.Record, batch)
		for i := range recs {
			id := from + uint64(i)
			recs[i] = persist.Record{ID: id, Topic: "dense", Time: 1, Frame: randomFrame(id, 200)}
			if id == sparse {
				recs[i].Topic = "sparse"
			}
		}
		require.NoError(t, l.Append(ctx, recs))
	}
}

// TestOneRecordNeedsLittleOfATable holds that who reads one record out of a table that
// nobody has read gets little else into memory: not all of the table's index.
func TestOneRecordNeedsLittleOfATable(t *testing.T) {
	const sparse = 100_000 // in a table of a full memtable
	fs := vfs.NewMem()
	l := openPebble(t, "log", pebblelog.WithFS(fs), pebblelog.WithSync(false))
	appendDense(t, l, 150_000, sparse)
	require.NoError(t, l.Close())
	l = openPebble(t, "log", pebblelog.WithFS(fs)) // reads the newest records, in another table
	defer func() { require.NoError(t, l.Close()) }()
	require.Eventually(t, l.Quiet, 30*time.Second, time.Millisecond)
	before := l.Cached()
	page, err := l.Query(ctx, persist.Query{Topics: []string{"sparse"}}, sparse-1, persist.Limit{Records: 1})
	require.NoError(t, err)
	require.Len(t, page.Records, 1)
	require.Less(t, l.Cached()-before, int64(24<<10))
}

// TestMemtablesLeaveRoomForTheCache holds that in a log that is written to what was read
// stays in memory, beside the memtables, which Pebble takes out of the cache's size.
func TestMemtablesLeaveRoomForTheCache(t *testing.T) {
	l := openPebble(t, "log", pebblelog.WithFS(vfs.NewMem()), pebblelog.WithSync(false))
	defer func() { require.NoError(t, l.Close()) }()
	appendDense(t, l, 150_000, 0)
	require.Eventually(t, l.Quiet, 30*time.Second, time.Millisecond)
	_, err := l.Read(ctx, 0, persist.Limit{Records: 1000})
	require.NoError(t, err)
	require.Greater(t, l.Cached(), int64(200<<10))
}
