package pebblelog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// TestOpenRefusesBounds holds that bounds which can't be meant are refused by name.
func TestOpenRefusesBounds(t *testing.T) {
	for name, r := range map[string]persist.Retention{
		"retention: MaxAge is negative: -1s":                   {MaxAge: -time.Second},
		"retention: MaxCount is negative: -1":                  {MaxCount: -1},
		`retention of topic "*": MaxBytes is negative: -5`:     {Topics: map[string]persist.Retention{"*": {MaxBytes: -5}}},
		`retention of topic "a b": MaxCount is negative: -100`: {Topics: map[string]persist.Retention{"a b": {MaxCount: -100}}},
	} {
		_, err := pebblelog.Open("log", pebblelog.WithFS(vfs.NewMem()), pebblelog.WithRetention(r))
		require.ErrorContains(t, err, name)
	}
}

// TestNarrowerTopicsAfterOpen holds that a topic which nothing is appended to any more is
// brought within bounds that are narrower than when the log was open last.
func TestNarrowerTopicsAfterOpen(t *testing.T) {
	fs := vfs.NewMem()
	open := func(n int64) *pebblelog.Log {
		return openPebble(t, "log", pebblelog.WithFS(fs), pebblelog.WithSync(false), pebblelog.WithRetention(persist.Retention{
			MaxCount: 8000, // small chunks: most are closed
			Topics:   map[string]persist.Retention{"t": {MaxCount: n}},
		}))
	}
	l := open(3000)
	for id := uint64(1); id <= 5000; id++ {
		appendAt(t, l, time.UnixMilli(1), []string{"t", "other"}[id%2], id)
	}
	require.NoError(t, l.Close())
	l = open(10)
	l.Settle()
	require.LessOrEqual(t, len(logtest.QueryAll(t, l, persist.Query{Topics: []string{"t"}}, 0, 1000)), 11)
	require.NoError(t, l.Close())
}

// TestSetRetentionIsKept holds that what is set is finished by the next life where this
// one does not get to it, also when other topics have bounds than before.
func TestSetRetentionIsKept(t *testing.T) {
	fs := vfs.NewMem()
	bounds := persist.Retention{Topics: map[string]persist.Retention{"*": {MaxCount: 10}, "all": {}}}
	l := openPebble(t, "log", pebblelog.WithFS(fs), pebblelog.WithSync(false), pebblelog.WithRetention(persist.Retention{MaxCount: 100_000}))
	for id := uint64(1); id <= 9000; id += 100 {
		recs := logtest.Records(logtest.Sequence(id, id+99)...)
		for i := range recs {
			recs[i].Topic = []string{"a", "b", "all"}[i%3]
		}
		require.NoError(t, l.Append(ctx, recs))
	}
	require.NoError(t, l.SetRetention(bounds))
	require.NoError(t, l.Close())
	l = openPebble(t, "log", pebblelog.WithFS(fs), pebblelog.WithSync(false), pebblelog.WithRetention(bounds))
	l.Settle()
	for topic, most := range map[string]int{"a": 11, "b": 11, "all": 3000} {
		got := len(logtest.QueryAll(t, l, persist.Query{Topics: []string{topic}}, 0, 1000))
		require.LessOrEqual(t, got, most, topic)
		require.GreaterOrEqual(t, got, min(most, 10), topic)
	}
	checkStats(t, l, logtest.ReadAll(t, l, 0, 1000))
	require.NoError(t, l.Close())
}

// TestFloorOfFormerTopics is invariant 3 where topics have no bounds any more: of what
// retention removed while they had, their readers are told, merged floors included, in
// this life and the next.
func TestFloorOfFormerTopics(t *testing.T) {
	const n, maxFloors = 1000, 64
	fs, clock := vfs.NewMem(), logtest.NewClock()
	open := func(r persist.Retention) *pebblelog.Log {
		return openPebble(t, "log", pebblelog.WithFS(fs), pebblelog.WithSync(false), pebblelog.WithClock(clock), pebblelog.WithMaxFloors(maxFloors), pebblelog.WithRetention(r))
	}
	aged := persist.Retention{Topics: map[string]persist.Retention{"*": {MaxAge: time.Minute}}}
	l := open(aged)
	for id := uint64(1); id <= n; id++ {
		appendAt(t, l, clock.Now(), fmt.Sprint("topic-", id), id)
	}
	clock.Advance(2 * time.Minute)
	l.Settle()
	check := func(what string) {
		t.Helper()
		for _, id := range []uint64{1, n / 2, n} {
			require.GreaterOrEqual(t, l.Floor([]string{fmt.Sprint("topic-", id)}), id, what)
		}
		require.Zero(t, l.Floor(nil), what)
	}
	check("bounded")
	require.NoError(t, l.SetRetention(persist.Retention{Topics: map[string]persist.Retention{"x": {MaxAge: time.Minute}}}))
	check("other bounds")
	require.NoError(t, l.SetRetention(persist.Retention{}))
	check("none")
	require.NoError(t, l.Close())
	l = open(persist.Retention{})
	check("the next life")
	require.NoError(t, l.SetRetention(aged))
	check("bounded again")
	require.NoError(t, l.Close())
	l = open(persist.Retention{})
	check("the next life without bounds")
	require.NoError(t, l.Close())
}

// TestMergedFloorOfFormerTopic is logtest.CheckMergedFloor, and the same in the next life.
func TestMergedFloorOfFormerTopic(t *testing.T) {
	fs, clock := vfs.NewMem(), logtest.NewClock()
	opts := []pebblelog.Option{pebblelog.WithFS(fs), pebblelog.WithSync(false), pebblelog.WithClock(clock), pebblelog.WithMaxFloors(logtest.ManyTopics / 5)}
	l := openPebble(t, "log", opts...)
	logtest.CheckMergedFloor(t, l, clock, l.Settle)
	bounds := l.LogStats().Retention
	require.NoError(t, l.Close())
	l = openPebble(t, "log", append(opts, pebblelog.WithRetention(bounds))...)
	require.EqualValues(t, 1, l.Floor([]string{"former"}))
	require.NoError(t, l.Close())
}

// TestSetRetentionOfFailedLog holds that a log which can't write takes other bounds, and
// goes by them when it works again.
func TestSetRetentionOfFailedLog(t *testing.T) {
	inj := failing(syscall.ENOSPC, errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData)
	clock := logtest.NewClock()
	l := openPebble(t, "log", pebblelog.WithFS(errorfs.Wrap(vfs.NewMem(), inj)), pebblelog.WithClock(clock))
	require.NoError(t, l.Append(ctx, logtest.Records(logtest.Sequence(1, 1000)...)))
	inj.On()
	require.ErrorIs(t, l.Append(ctx, logtest.Records(1001)), persist.ErrFailed)
	require.NoError(t, l.SetRetention(persist.Retention{MaxCount: 80}))
	require.Equal(t, int64(80), l.LogStats().Retention.MaxCount)
	require.Len(t, logtest.ReadAll(t, l, 0, 1000), 1000)
	inj.Off()
	clock.Advance(time.Minute)
	require.NoError(t, l.Append(ctx, logtest.Records(1002)))
	l.Settle()
	got := logtest.ReadAll(t, l, 0, 1000)
	require.LessOrEqual(t, len(got), 91)
	require.Equal(t, uint64(1002), got[len(got)-1].ID)
	require.NoError(t, l.Close())
}

// TestSetRetentionConcurrently changes the bounds while records are appended in a
// pipeline, read, and removed: nothing is lost above the floor, and the numbers are right.
func TestSetRetentionConcurrently(t *testing.T) {
	bothLogs(t, func(t *testing.T, open openFunc) {
		l := open(persist.Retention{}, nil)
		policies := []persist.Retention{
			{MaxCount: 50},
			{Topics: map[string]persist.Retention{"*": {MaxCount: 10}}},
			{Topics: map[string]persist.Retention{"t1": {MaxCount: 5}}},
			{MaxAge: time.Hour},
		}
		done := make(chan struct{})
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				for n := i; ; n++ {
					select {
					case <-done:
						return
					default:
						assert.NoError(t, l.(persist.Retainer).SetRetention(policies[n%len(policies)]))
					}
				}
			})
		}
		wg.Go(func() {
			for after := uint64(0); after < 2000; {
				p, err := l.Read(ctx, after, persist.Limit{Records: 100})
				assert.NoError(t, err)
				floor := l.Floor([]string{"t0", "t1", "t2"})
				for _, r := range p.Records {
					assert.False(t, r.ID != after+1 && r.ID-1 > floor, "%d follows %d above floor %d", r.ID, after, floor)
					after = r.ID
				}
				assert.False(t, p.UpTo > after && p.UpTo > floor, "nothing follows %d above floor %d", after, floor)
				after = max(after, p.UpTo)
				l.LogStats()
			}
		})
		for id := uint64(1); id <= 2000; id += 10 {
			recs := logtest.Records(logtest.Sequence(id, id+9)...)
			for i := range recs {
				recs[i].Topic, recs[i].Time = fmt.Sprint("t", i%3), time.Now().UnixMilli()
			}
			require.NoError(t, l.Append(ctx, recs))
		}
		close(done)
		wg.Wait()
		require.NoError(t, l.(persist.Retainer).SetRetention(persist.Retention{MaxCount: 80}))
		settle(l)
		checkStats(t, l, logtest.ReadAll(t, l, 0, 1000))
		require.NoError(t, l.Close())
	})
}

// fillDisk writes a file until there is no room left.
func fillDisk(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	require.NoError(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, f.Close())
}

// fullLog returns the folder of a log of 15 MiB on a real file system without any room
// left, the log, which has found that out, and its last ID.
func fullLog(t *testing.T) (dir string, l *pebblelog.Log, last uint64) {
	mnt := mountTmpfs(t, "size=64m")
	dir = filepath.Join(mnt, "log")
	l = openPebble(t, dir, pebblelog.WithMemTable(1<<20))
	for last < 240 {
		last++
		require.NoError(t, l.Append(ctx, []persist.Record{{ID: last, Time: int64(last), Frame: randomFrame(last, 64<<10)}}))
	}
	require.Eventually(t, func() bool {
		l.Settle()
		_, err := os.Stat(filepath.Join(dir, "reserve"))
		return err == nil
	}, time.Minute, time.Millisecond)
	fillDisk(t, filepath.Join(mnt, "ballast"))
	for {
		err := l.Append(ctx, []persist.Record{{ID: last + 1, Time: int64(last), Frame: randomFrame(last+1, 64<<10)}})
		if err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			break
		}
		last++
	}
	fillDisk(t, filepath.Join(mnt, "ballast2"))
	return dir, l, last
}

// requireRoom requires that a log that was full takes records again, has the newest of
// those that were acknowledged, and not the oldest.
func requireRoom(t *testing.T, l *pebblelog.Log, last uint64) {
	t.Helper()
	next := last + 10
	require.Eventually(t, func() bool {
		next++
		return l.Append(ctx, []persist.Record{{ID: next, Frame: randomFrame(next, 64<<10)}}) == nil
	}, time.Minute, time.Millisecond)
	l.Settle() // else a floor that rises between two pages, or behind them, would look like a loss
	got := logtest.IDs(logtest.ReadAll(t, l, 0, 1000))
	require.Greater(t, got[0], uint64(100))
	require.Equal(t, append(logtest.Sequence(got[0], last), next), got)
	require.Equal(t, got[0]-1, l.Floor(nil))
}

// TestFullDiskWithShorterRetention holds that a log on a full disk opens with bounds that
// allow to remove something, and goes on; and that what is set aside for that is still
// there after it was opened without, as often as that is tried.
func TestFullDiskWithShorterRetention(t *testing.T) {
	dir, l, last := fullLog(t)
	_ = l.Close() // it can't be closed in good order
	fillDisk(t, filepath.Join(filepath.Dir(dir), "ballast3"))
	for i := range 3 {
		l, err := pebblelog.Open(dir, pebblelog.WithMemTable(1<<20))
		if err == nil {
			_ = l.Close() // what it needed was just there
		} else {
			require.ErrorIs(t, err, syscall.ENOSPC)
		}
		require.FileExists(t, filepath.Join(dir, "reserve"))
		fillDisk(t, filepath.Join(filepath.Dir(dir), fmt.Sprint("more", i)))
	}
	narrow := pebblelog.WithRetention(persist.Retention{MaxCount: 80})
	l = openPebble(t, dir, pebblelog.WithMemTable(1<<20), narrow)
	requireRoom(t, l, last)
	l = reopenAt(t, l, dir, pebblelog.WithMemTable(1<<20), narrow)
	require.Greater(t, l.First(), uint64(100))
	require.NoError(t, l.Close())
}

// TestFullDiskWithRetentionSet holds the same for a log that is in use.
func TestFullDiskWithRetentionSet(t *testing.T) {
	_, l, last := fullLog(t)
	require.NoError(t, l.SetRetention(persist.Retention{MaxCount: 80}))
	requireRoom(t, l, last)
	require.NoError(t, l.Close())
}

func reopenAt(t *testing.T, l *pebblelog.Log, dir string, opts ...pebblelog.Option) *pebblelog.Log {
	t.Helper()
	require.NoError(t, l.Close())
	return openPebble(t, dir, opts...)
}
