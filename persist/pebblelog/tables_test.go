package pebblelog_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// TestTablesHoldOneKind holds that each table of the database is of one kind of
// keys, and that hardly anything is written a second time: tables of records are
// moved down as they are. The latter takes more data than the race detector bears
// with, so `make test` runs it without, too.
func TestTablesHoldOneKind(t *testing.T) {
	rounds := 1000
	if testrace.On {
		rounds = 120
	}
	l := openPebble(t, t.TempDir(), pebblelog.WithSync(false), pebblelog.WithMemTable(14<<20))
	defer func() { require.NoError(t, l.Close()) }()
	const step = 800 // a memtable spans about a segment of the index, as with records of 250 bytes in the default one
	id := uint64(step)
	for range rounds {
		var recs []persist.Record
		for range 8 {
			recs = append(recs, persist.Record{ID: id, Topic: "t", Time: 1, Frame: randomFrame(id, 32<<10)})
			id += step
		}
		require.NoError(t, l.Append(ctx, recs))
	}
	require.Eventually(t, func() bool { return l.Quiet() }, 30*time.Second, time.Millisecond)
	tables, kinds := l.Tables(), map[byte]int{}
	for _, tab := range tables {
		require.Equal(t, tab.Smallest[0], tab.Largest[0], "table %q to %q", tab.Smallest, tab.Largest)
		kinds[tab.Smallest[0]]++
	}
	require.Positive(t, kinds['e'])
	require.Positive(t, kinds['i'])
	require.Len(t, logtest.ReadAll(t, l, 0, 10_000), int(id/step)-1)
	if testrace.On {
		return
	}
	flushed, compacted, moved := l.Written()
	require.Greater(t, flushed, uint64(240<<20))
	require.Positive(t, moved)
	require.Less(t, compacted, flushed/4, "of %d bytes flushed", flushed)
}

// TestTableEnd holds that a table which begins with what retention has removed
// ends where it has not.
func TestTableEnd(t *testing.T) {
	for _, c := range []struct {
		start string
		floor uint64
		end   string
	}{
		{"e\x00\x00\x00\x00\x00\x00\x00\x05", 4, "f"},
		{"e\x00\x00\x00\x00\x00\x00\x00\x05", 5, "e\x00\x00\x00\x00\x00\x00\x00\x06"},
		{"e\x00\x00\x00\x00\x00\x00\x00\x05", 1 << 20, "e\x00\x00\x00\x00\x00\x10\x00\x01"},
		{"m\x00\x00\x00\x00\x00\x00\x00\x05", 5, "m\x00\x00\x00\x00\x00\x00\x00\x06"},
		{"i\x00\x00\x00\x00\x00\x03tx\x00abc", 1 << 19, "j"},
		{"i\x00\x00\x00\x00\x00\x01tx\x00abc", 1 << 19, "i\x00\x00\x00\x00\x00\x02"},
		{"i\x00\x00\x00\x00\x00\x02", 1 << 19, "j"},
		{"ftopic", 1 << 19, "g"},
		{"sF", 1 << 19, "t"},
		{"e", 0, "e\x00\x00\x00\x00\x00\x00\x00\x01"},
	} {
		end := string(pebblelog.TableEnd([]byte(c.start), c.floor))
		require.Equal(t, c.end, end, "%q with floor %d", c.start, c.floor)
		require.Greater(t, end, c.start)
	}
}
