package pebblelog_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

func checkWhole(t *testing.T, dir string, records int64) pebblelog.Report {
	t.Helper()
	r, err := pebblelog.Check(ctx, dir)
	require.NoError(t, err)
	require.True(t, r.Whole(), "%+v", r)
	require.Equal(t, records, r.Records)
	return r
}

// TestCheck holds that a whole log is found whole, a damaged one damaged, that all of it
// is read, and that nothing is changed.
func TestCheck(t *testing.T) {
	testrace.Pointless(t)
	dir := inTables(t, 300)
	before := contentsOf(t, dir)
	r := checkWhole(t, dir, 300)
	require.Equal(t, uint64(1), r.First)
	require.Equal(t, uint64(300), r.Last)
	require.Equal(t, 1, r.Runs)
	require.Equal(t, before, contentsOf(t, dir))

	all := map[string]func(t *testing.T, dir string){
		"table": func(t *testing.T, dir string) { flip(t, one(t, dir, "*.sst")) },
	}
	for name, damage := range damages {
		all[name] = damage
	}
	for name, damage := range all {
		t.Run(name, func(t *testing.T) {
			dir := inTables(t, 300)
			damage(t, dir)
			before := contentsOf(t, dir)
			r, err := pebblelog.Check(ctx, dir)
			require.NoError(t, err)
			require.NotEmpty(t, r.Damaged)
			for _, line := range r.Damaged {
				require.NotRegexp(t, internals, line)
			}
			require.Equal(t, before, contentsOf(t, dir))
		})
	}

	l := openPebble(t, dir)
	_, err := pebblelog.Check(ctx, dir)
	require.ErrorIs(t, err, persist.ErrLocked)
	require.NoError(t, l.Close())
	_, err = pebblelog.Check(ctx, filepath.Join(dir, "absent"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = pebblelog.Check(ctx, t.TempDir())
	require.ErrorIs(t, err, pebblelog.ErrForeign)
}

// TestBackup holds that a backup of a log which is written to is a consistent beginning
// of it with all that was acknowledged before, and shares the tables with it.
func TestBackup(t *testing.T) {
	dir := t.TempDir()
	l := openPebble(t, filepath.Join(dir, "log"), pebblelog.WithMemTable(1<<20), pebblelog.WithSync(false))
	require.NoError(t, l.BeginRun(1))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for id := uint64(1); ; id += 2 {
			select {
			case <-stop:
				return
			default:
			}
			if err := l.Append(ctx, []persist.Record{
				{ID: id, Time: 1, Topic: "t", Frame: randomFrame(id, 4<<10)}, {ID: id + 1, Time: 1, Frame: logtest.Frame(id+1, 1)},
			}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i, name := range []string{"a", "b/c"} {
		require.Eventually(t, func() bool { return l.Last() > uint64(1000*(i+1)) }, time.Minute, time.Millisecond)
		acked := l.Last()
		target := filepath.Join(dir, name)
		require.NoError(t, l.Backup(ctx, target))
		r, err := pebblelog.Check(ctx, target)
		require.NoError(t, err)
		require.True(t, r.Whole(), "%+v", r)
		require.GreaterOrEqual(t, r.Last, acked)
		require.Equal(t, r.Last, uint64(r.Records))
	}
	close(stop)
	wg.Wait()

	require.Eventually(t, l.Quiet, time.Minute, time.Millisecond)
	require.NoError(t, l.Backup(ctx, filepath.Join(dir, "d")))
	shared := 0
	tables, err := filepath.Glob(filepath.Join(dir, "d", "*.sst"))
	require.NoError(t, err)
	for _, name := range tables {
		info, err := os.Stat(name)
		require.NoError(t, err)
		live, err := os.Stat(filepath.Join(dir, "log", filepath.Base(name)))
		if err == nil && os.SameFile(info, live) {
			shared++
		}
	}
	require.Positive(t, shared, "hard links")

	require.ErrorIs(t, l.Backup(ctx, filepath.Join(dir, "a")), fs.ErrExist)
	require.ErrorContains(t, l.Backup(ctx, filepath.Join(dir, "log", "x")), "lies in the folder of the log")
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Backup(ctx, filepath.Join(dir, "z")), persist.ErrClosed)
}

// TestNothingIsOverwrittenOnTheWay holds that backup, restore and repair remove no folder
// but what an interrupted attempt has left: not the log, or the backup, that they read, and
// nobody else's files.
func TestNothingIsOverwrittenOnTheWay(t *testing.T) {
	parent := t.TempDir()
	name := filepath.Join(parent, "log")
	l := openPebble(t, name+".partial")
	require.NoError(t, l.Append(ctx, logtest.Records(1, 2, 3)))
	require.ErrorContains(t, l.Backup(ctx, name), "another name")
	require.ErrorContains(t, l.Backup(ctx, filepath.Join(parent, "b.partial")), "not whole")
	require.NoError(t, l.Close())
	_, err := pebblelog.Restore(ctx, name+".partial", name)
	require.ErrorContains(t, err, "another name")
	_, err = pebblelog.Repair(ctx, name+".partial", name)
	require.ErrorContains(t, err, "another name")
	r, err := pebblelog.Check(ctx, name+".partial")
	require.NoError(t, err)
	require.EqualValues(t, 3, r.Records)

	require.NoError(t, os.Rename(name+".partial", filepath.Join(parent, "source")))
	source, open := filepath.Join(parent, "source"), openPebble(t, name+".partial")
	_, err = pebblelog.Restore(ctx, source, name)
	require.ErrorIs(t, err, persist.ErrLocked, "a hub has it open")
	_, err = pebblelog.Repair(ctx, source, name)
	require.ErrorIs(t, err, persist.ErrLocked)
	require.ErrorIs(t, pebblelog.BackupFolder(ctx, source, name), persist.ErrLocked)
	require.NoError(t, open.Append(ctx, logtest.Records(1)))
	require.NoError(t, open.Close())
	checkWhole(t, name+".partial", 1)
	for _, end := range []string{".partial", ".salvage"} { // the next attempt at another name would remove it
		_, err = pebblelog.Restore(ctx, source, filepath.Join(parent, "other")+end)
		require.ErrorContains(t, err, "not whole")
	}

	target := filepath.Join(parent, "new")
	for _, work := range []string{target + ".partial", target + ".salvage"} {
		require.NoError(t, os.Mkdir(work, 0o755))
		diary := filepath.Join(work, "diary")
		require.NoError(t, os.WriteFile(diary, nil, 0o644))
		_, err = pebblelog.Repair(ctx, source, target)
		require.ErrorIs(t, err, pebblelog.ErrForeign)
		require.FileExists(t, diary)
		require.NoError(t, os.RemoveAll(work))
	}
	_, err = pebblelog.Repair(ctx, source, target)
	require.NoError(t, err)
}

// TestAFailedRestoreLeavesNothing holds that a restore that fails or is interrupted leaves the
// target as it was, so that the next one can be made.
func TestAFailedRestoreLeavesNothing(t *testing.T) {
	backup, parent := filepath.Join(t.TempDir(), "backup"), t.TempDir()
	l := openPebble(t, backup)
	require.NoError(t, l.Append(ctx, logtest.Records(1, 2, 3)))
	require.NoError(t, l.Close())
	empty := filepath.Join(parent, "empty")
	require.NoError(t, os.Mkdir(empty, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(empty, ".keep"), nil, 0o644))
	ended, end := context.WithCancel(ctx)
	end()
	for _, target := range []string{empty, filepath.Join(parent, "new")} {
		_, err := pebblelog.Restore(ended, backup, target)
		require.ErrorIs(t, err, context.Canceled)
	}
	require.NoError(t, os.Symlink("nowhere", filepath.Join(parent, "link")))
	_, err := pebblelog.Restore(ctx, backup, filepath.Join(parent, "link"))
	require.Error(t, err)
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Len(t, left, 2, "empty and link")
	for _, target := range []string{empty, filepath.Join(parent, "new")} {
		_, err := pebblelog.Restore(ctx, backup, target)
		require.NoError(t, err)
		checkWhole(t, target, 3)
	}
	require.FileExists(t, filepath.Join(empty, ".keep"))
	_, err = pebblelog.Restore(ctx, backup, filepath.Join(parent, "slash")+"/")
	require.NoError(t, err)
	checkWhole(t, filepath.Join(parent, "slash"), 3)
}

// TestRestoreHasTheFolder holds that nobody begins a log in an empty folder while a backup is
// restored to it, and that what somebody has begun there before is not touched.
func TestRestoreHasTheFolder(t *testing.T) {
	fs := vfs.NewMem()
	l := openPebble(t, "backup", pebblelog.WithFS(fs))
	require.NoError(t, l.Append(ctx, logtest.Records(1, 2, 3)))
	require.NoError(t, l.Close())
	require.NoError(t, fs.MkdirAll("dir", 0o755))
	tried := 0
	watched := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && strings.HasPrefix(op.Path, "dir/") && !strings.HasSuffix(op.Path, "LOCK") {
			tried++
			_, err := pebblelog.Open("dir", pebblelog.WithFS(fs))
			require.ErrorIs(t, err, persist.ErrLocked)
		}
		return nil
	}))
	_, err := pebblelog.Restore(ctx, "backup", "dir", pebblelog.WithFS(watched))
	require.NoError(t, err)
	require.NotZero(t, tried)
	l = openPebble(t, "dir", pebblelog.WithFS(fs))
	require.Len(t, logtest.ReadAll(t, l, 0, 10), 3)
	require.NoError(t, l.Close())

	require.NoError(t, fs.MkdirAll("other", 0o755))
	lock, err := fs.Lock("other/LOCK")
	require.NoError(t, err)
	_, err = pebblelog.Restore(ctx, "backup", "other", pebblelog.WithFS(fs))
	require.Error(t, err)
	_, err = fs.Stat("other/LOCK")
	require.NoError(t, err, "somebody has it")
	require.NoError(t, lock.Close())
}

// TestRepairKeepsTheFloorsOfTopics holds that a repaired log tells of the same gaps, also for
// topics whose floors were merged into the one that they have in common.
func TestRepairKeepsTheFloorsOfTopics(t *testing.T) {
	dir := t.TempDir()
	opts := []pebblelog.Option{pebblelog.WithMaxFloors(4), pebblelog.WithRetention(persist.Retention{
		Topics: map[string]persist.Retention{persist.AnyTopic: {MaxCount: 1}}})}
	l := openPebble(t, filepath.Join(dir, "log"), opts...)
	floors := func(l *pebblelog.Log) (ids []uint64) {
		for i := range 10 {
			ids = append(ids, l.Floor([]string{fmt.Sprint("t", i)}))
		}
		return ids
	}
	for id := uint64(1); id <= 50; id++ {
		require.NoError(t, l.Append(ctx, []persist.Record{{ID: id, Time: 1, Topic: fmt.Sprint("t", id%10), Frame: logtest.Frame(id, 10)}}))
	}
	require.Eventually(t, func() bool { return l.LogStats().Count == 10 }, time.Minute, time.Millisecond)
	want := floors(l)
	require.NotContains(t, want, uint64(0))
	require.NoError(t, l.Close())
	_, err := pebblelog.Repair(ctx, filepath.Join(dir, "log"), filepath.Join(dir, "new"))
	require.NoError(t, err)
	l = openPebble(t, filepath.Join(dir, "new"), opts...)
	require.Equal(t, want, floors(l))
	require.NoError(t, l.Close())
}

// TestRepairKeepsTheMarks holds that a repaired log knows what its records do not tell:
// which ID was the last, which end it has lost, how old what retention has removed was.
func TestRepairKeepsTheMarks(t *testing.T) {
	dir := t.TempDir()
	opts := []pebblelog.Option{pebblelog.WithRetention(persist.Retention{MaxCount: 8, Topics: map[string]persist.Retention{"t": {MaxCount: 1}}})}
	grow := func(name string, from, to uint64) {
		l := openPebble(t, filepath.Join(dir, name), opts...)
		if from == 1 {
			require.NoError(t, l.BeginRun(1))
		}
		for id := from; id <= to; id++ {
			require.NoError(t, l.Append(ctx, logtest.Records(id)))
		}
		require.NoError(t, l.Close())
	}
	grow("log", 1, 20)
	require.NoError(t, os.CopyFS(filepath.Join(dir, "whole"), os.DirFS(filepath.Join(dir, "log"))))
	grow("whole", 21, 40)
	// The end of the log is lost: it has what was acknowledged, and not the records.
	require.NoError(t, os.Rename(filepath.Join(dir, "whole", "acknowledged"), filepath.Join(dir, "log", "acknowledged")))
	l := openPebble(t, filepath.Join(dir, "log"), opts...)
	require.NoError(t, l.BeginRun(50))
	for id := uint64(50); id <= 70; id++ {
		require.NoError(t, l.Append(ctx, []persist.Record{{ID: id, Time: int64(id), Topic: []string{"", "t"}[id/70], Frame: logtest.Frame(id, 1)}}))
	}
	require.Eventually(t, func() bool { return l.Floor(nil) > 50 }, time.Minute, time.Millisecond)
	l.Settle()
	tell := func(l *pebblelog.Log) []any {
		floor := l.Floor(nil)
		after, err := l.After(ctx, time.UnixMilli(int64(floor)))
		require.NoError(t, err)
		since, err := l.After(ctx, time.UnixMilli(int64(floor)+1))
		require.NoError(t, err)
		return []any{l.Last(), floor, l.LostAfter(20), l.LostAfter(39), l.LostAfter(40), after, since}
	}
	want := tell(l)
	require.Equal(t, []any{uint64(40), uint64(40), uint64(0)}, want[2:5])
	require.Equal(t, uint64(70), want[0])
	require.NoError(t, l.Close())
	r, err := pebblelog.Repair(ctx, filepath.Join(dir, "log"), filepath.Join(dir, "new"))
	require.NoError(t, err)
	require.Empty(t, r.Damaged)
	l = openPebble(t, filepath.Join(dir, "new"), opts...)
	require.Equal(t, want, tell(l))
	require.NoError(t, l.Close())
}

// TestRepairOfAnEmptiedLog is invariant 1 for a log whose records have all expired: the
// repaired one knows which IDs were issued.
func TestRepairOfAnEmptiedLog(t *testing.T) {
	dir := t.TempDir()
	l := openPebble(t, filepath.Join(dir, "log"), pebblelog.WithRetention(persist.Retention{MaxAge: time.Hour}))
	require.NoError(t, l.BeginRun(1))
	require.NoError(t, l.Append(ctx, logtest.Records(1, 2, 3)))
	require.Eventually(t, func() bool { l.Settle(); return l.LogStats().Count == 0 }, time.Minute, time.Millisecond)
	require.NoError(t, l.Close())
	require.NoError(t, os.Remove(filepath.Join(dir, "log", "acknowledged")))
	_, err := pebblelog.Repair(ctx, filepath.Join(dir, "log"), filepath.Join(dir, "new"))
	require.NoError(t, err)
	l = openPebble(t, filepath.Join(dir, "new"))
	require.Equal(t, uint64(3), l.Last())
	require.Equal(t, uint64(3), l.Floor(nil))
	require.NoError(t, l.Close())
}

// TestBackupToAFullDisk holds that an error of the target is the backup's alone: the log
// goes on, and nothing is left that looks like a backup.
func TestBackupToAFullDisk(t *testing.T) {
	target := filepath.Join(mountTmpfs(t, "size=1m"), "backup")
	dir := inTables(t, 300)
	l := openPebble(t, dir)
	err := l.Backup(ctx, target)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NotRegexp(t, internals, err.Error())
	require.NoError(t, l.LogStats().Err)
	require.NoError(t, l.Append(ctx, logtest.Records(1000)))
	require.NoDirExists(t, target)
	require.NoError(t, l.Close())
	checkWhole(t, dir, 301)
}

// TestRepairToAFullDisk holds that a repair that finds no room, for what it collects or for the
// new log, says so, and leaves nothing: it neither hangs nor panics.
func TestRepairToAFullDisk(t *testing.T) {
	dir := inTables(t, 3000)
	for _, room := range []string{"size=4k", "size=64k", "size=256k", "size=1m"} {
		disk := mountTmpfs(t, room)
		_, err := pebblelog.Repair(ctx, dir, filepath.Join(disk, "new"))
		require.ErrorIs(t, err, syscall.ENOSPC, room)
		require.NotRegexp(t, internals, err.Error())
		left, err := os.ReadDir(disk)
		require.NoError(t, err)
		require.Empty(t, left, room)
	}
}

// TestRestore is a whole round: backup, the log goes on, the backup is restored. IDs of
// in between are unknown there, and are not issued again.
func TestRestore(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	l := openPebble(t, path("log"))
	require.NoError(t, l.BeginRun(100))
	require.NoError(t, l.Append(ctx, logtest.Records(logtest.Sequence(100, 150)...)))
	require.NoError(t, l.Backup(ctx, path("backup")))
	require.NoError(t, l.Append(ctx, logtest.Records(logtest.Sequence(151, 160)...)))
	require.NoError(t, l.Close())

	r, err := pebblelog.Restore(ctx, path("backup"), path("new"))
	require.NoError(t, err)
	require.True(t, r.Whole())
	require.Equal(t, int64(51), r.Records)
	l = openPebble(t, path("new"))
	require.Equal(t, logtest.Sequence(100, 150), logtest.IDs(logtest.ReadAll(t, l, 0, 10)))
	require.NoError(t, l.BeginRun(200))
	requireIssued(t, l, true, 100, 150)
	requireIssued(t, l, false, 151, 160)
	require.NoError(t, l.Close())

	l = openPebble(t, path("new"))
	_, err = pebblelog.Restore(ctx, path("new"), path("copy"))
	require.ErrorIs(t, err, persist.ErrLocked, "a folder that is written to is no backup")
	require.NoDirExists(t, path("copy"))
	require.NoError(t, l.Close())

	_, err = pebblelog.Restore(ctx, path("backup"), path("log"))
	require.ErrorContains(t, err, "not empty")
	_, err = pebblelog.Restore(ctx, path("backup"), path("backup/x"))
	require.ErrorContains(t, err, "lies in the other")
	require.NoError(t, os.Mkdir(path("empty"), 0o700))
	_, err = pebblelog.Restore(ctx, path("empty"), path("other"))
	require.ErrorIs(t, err, pebblelog.ErrForeign)
	_, err = pebblelog.Restore(ctx, path("backup"), path("empty"))
	require.NoError(t, err, "a folder that is there and empty may be a mount point")
	checkWhole(t, path("empty"), 51)
	require.NoError(t, os.Remove(one(t, path("backup"), "MANIFEST-*")))
	_, err = pebblelog.Restore(ctx, path("backup"), path("third"))
	require.ErrorIs(t, err, pebblelog.ErrDamaged)
	require.NoDirExists(t, path("third"))
}

// TestRepair holds that of each kind of damage what can be read is salvaged, unchanged,
// that what is lost is said, and that invariant 3 holds after it: who may have missed
// something is told of a gap, and who can't have is not.
func TestRepair(t *testing.T) {
	testrace.Pointless(t)
	const n = 300
	all := map[string]func(t *testing.T, dir string){
		"nothing": func(*testing.T, string) {},
		"table":   func(t *testing.T, dir string) { flip(t, one(t, dir, "*.sst")) },
		"all of a table": func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(one(t, dir, "*.sst"), []byte("nothing of it is left"), 0o600))
		},
	}
	for name, damage := range damages {
		all[name] = damage
	}
	for name, damage := range all {
		t.Run(name, func(t *testing.T) {
			dir := inTables(t, n)
			l := openPebble(t, dir)
			want := logtest.ReadAll(t, l, 0, 1000)
			require.NoError(t, l.Close())
			damage(t, dir)
			before := contentsOf(t, dir)
			target := filepath.Join(t.TempDir(), "new")
			r, err := pebblelog.Repair(ctx, dir, target)
			require.NoError(t, err)
			require.Equal(t, before, contentsOf(t, dir))
			t.Logf("%+v", r)

			l = openPebble(t, target)
			got := logtest.ReadAll(t, l, 0, 1000)
			require.Equal(t, r.Records, int64(len(got)))
			require.NotEmpty(t, got) // how much the damaged table held is its compactions' affair
			have := map[uint64]persist.Record{}
			for _, rec := range want {
				have[rec.ID] = rec
			}
			lost := map[uint64]bool{}
			for id := uint64(1); id <= n; id++ {
				lost[id] = true
			}
			for _, rec := range got {
				require.Equal(t, have[rec.ID], rec)
				delete(lost, rec.ID)
			}
			require.Equal(t, len(lost) > 0 || name != "nothing", len(r.Damaged) > 0 || name == "options damaged" || name == "format marker missing", "%v", r.Damaged)
			for id := uint64(1); id <= n; id++ {
				missed := false
				for gone := range lost {
					missed = missed || gone > id
				}
				issued, err := l.Issued(ctx, id)
				require.NoError(t, err)
				if missed && id > 1 {
					require.False(t, issued, "who knows %d has missed something", id)
				}
			}
			if name == "nothing" {
				requireIssued(t, l, true, 1, 150, n)
			}
			topics := logtest.IDs(logtest.QueryAll(t, l, persist.Query{Topics: []string{"t"}}, 0, 100))
			for _, id := range topics {
				require.Equal(t, uint64(1), id%3)
			}
			require.NotEmpty(t, topics)
			require.NoError(t, l.BeginRun(1000))
			require.NoError(t, l.Append(ctx, logtest.Records(1000)))
			require.NoError(t, l.Close())
			checkWhole(t, target, r.Records+1)
		})
	}
}

// TestRepairBringsNothingBack holds that what retention has removed stays removed, of
// the log and of topics, and that a cancelled repair leaves no new folder.
func TestRepairBringsNothingBack(t *testing.T) {
	testrace.Pointless(t)
	dir := filepath.Join(t.TempDir(), "log")
	opts := pebblelog.WithRetention(persist.Retention{MaxCount: 200, Topics: map[string]persist.Retention{"t": {MaxCount: 5}}})
	l := openPebble(t, dir, opts, pebblelog.WithMemTable(1<<20))
	for id := uint64(1); id <= 600; id++ {
		topic := []string{"t", ""}[id%2]
		require.NoError(t, l.Append(ctx, []persist.Record{{ID: id, Time: 1, Topic: topic, Frame: randomFrame(id, 8<<10)}}))
	}
	l.Settle()
	want, floor, topicFloor := logtest.IDs(logtest.ReadAll(t, l, 0, 1000)), l.Floor(nil), l.Floor([]string{"t"})
	require.NoError(t, l.Close())

	target := filepath.Join(t.TempDir(), "new")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err := pebblelog.Repair(cancelled, dir, target)
	require.ErrorIs(t, err, context.Canceled)
	require.NoDirExists(t, target)

	_, err = pebblelog.Repair(ctx, dir, target)
	require.NoError(t, err)
	l = openPebble(t, target, opts)
	require.Equal(t, want, logtest.IDs(logtest.ReadAll(t, l, 0, 1000)))
	require.Equal(t, floor, l.Floor(nil))
	require.Equal(t, topicFloor, l.Floor([]string{"t"}))
	require.NoError(t, l.Close())
	_, err = pebblelog.Repair(ctx, dir, target)
	require.ErrorIs(t, err, fs.ErrExist)
}
