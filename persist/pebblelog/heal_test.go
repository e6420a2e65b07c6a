package pebblelog_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// TestHealingLowersNoFloor is invariant 3 where a disk fails under what retention
// removes: the records come back with the log, and readers, who look at the floor
// before and after they read, are still told what they were. What has come back is
// counted and goes again.
func TestHealingLowersNoFloor(t *testing.T) {
	const aged, kept = 40, 10
	bounds := func(r persist.Retention) persist.Retention {
		return persist.Retention{Topics: map[string]persist.Retention{"t": r}}
	}
	inj := failing(syscall.EIO, errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData)
	clock := logtest.NewClock()
	l := openPebble(t, "log", pebblelog.WithFS(errorfs.Wrap(vfs.NewMem(), inj)), pebblelog.WithClock(clock),
		pebblelog.WithRetention(bounds(persist.Retention{MaxAge: time.Hour})))
	appendAt(t, l, clock.Now(), "t", logtest.Sequence(1, aged)...)
	clock.Advance(50 * time.Minute)
	appendAt(t, l, clock.Now(), "t", logtest.Sequence(aged+1, aged+kept)...)
	// A floor of other topics, by which that of all is told apart.
	appendAt(t, l, clock.Now(), "other", logtest.Sequence(100, 105)...)

	inj.On()
	clock.Advance(20 * time.Minute)
	l.Settle()
	require.EqualValues(t, aged, l.Floor(topic))
	require.ErrorIs(t, l.Append(ctx, logtest.Records(200)), persist.ErrFailed)
	require.NoError(t, l.SetRetention(persist.Retention{})) // so that what comes back stays for now
	require.EqualValues(t, aged, l.Floor(topic))

	inj.Off()
	clock.Advance(maxPause)
	require.NoError(t, l.Append(ctx, logtest.Records(201)))
	require.NoError(t, l.LogStats().Err)
	require.EqualValues(t, aged+kept+6+1, l.LogStats().Count, "they have come back")
	require.EqualValues(t, aged, l.Floor(topic))
	require.EqualValues(t, aged, l.Floor([]string{">"}), "by pattern")
	require.Zero(t, l.Floor(nil))

	require.NoError(t, l.SetRetention(bounds(persist.Retention{MaxCount: kept + 5})))
	require.EqualValues(t, aged, l.Floor(topic), "retention has not got there again")
	l.Settle()
	require.EqualValues(t, kept+5+6+1, l.LogStats().Count)
	require.EqualValues(t, aged, l.Floor(topic))
	require.NoError(t, l.SetRetention(bounds(persist.Retention{MaxCount: kept - 5})))
	l.Settle()
	require.EqualValues(t, kept-5+6+1, l.LogStats().Count)
	require.EqualValues(t, aged+5, l.Floor(topic))
	require.NoError(t, l.Close())
}

// TestHealingKeepsMergedFloors is the same for floors that topics have in common, also
// for topics that lose their bounds while the log has failed.
func TestHealingKeepsMergedFloors(t *testing.T) {
	inj := failing(syscall.EIO, errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData)
	clock := logtest.NewClock()
	l := openPebble(t, "log", pebblelog.WithFS(errorfs.Wrap(vfs.NewMem(), inj)), pebblelog.WithClock(clock), pebblelog.WithMaxFloors(1),
		pebblelog.WithRetention(persist.Retention{Topics: map[string]persist.Retention{"*": {MaxAge: time.Hour}}}))
	appendAt(t, l, clock.Now(), "t", logtest.Sequence(1, 10)...)
	appendAt(t, l, clock.Now(), "u", logtest.Sequence(11, 20)...)
	require.Zero(t, l.Floor(topic))
	inj.On()
	clock.Advance(2 * time.Hour)
	l.Settle()
	require.EqualValues(t, 20, l.Floor(topic))
	require.ErrorIs(t, l.Append(ctx, logtest.Records(200)), persist.ErrFailed)
	require.NoError(t, l.SetRetention(persist.Retention{}))
	require.EqualValues(t, 20, l.Floor(topic), "without bounds")
	inj.Off()
	clock.Advance(maxPause)
	require.NoError(t, l.Append(ctx, logtest.Records(201)))
	require.EqualValues(t, 20, l.Floor(topic), "healed")
	require.NoError(t, l.Close())
}

// TestOtherAmountsAreNoGap holds that a topic which has never had bounds keeps its floor
// where others change by how much they are kept only, or how that is written, whether
// the log works, has failed, or has healed since.
func TestOtherAmountsAreNoGap(t *testing.T) {
	inj := failing(syscall.EIO, errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData)
	clock := logtest.NewClock()
	bounds := func(hours time.Duration, more ...string) persist.Retention {
		r := persist.Retention{Topics: map[string]persist.Retention{"*": {MaxAge: hours * time.Hour}, "audit": {}}}
		for _, topic := range more {
			r.Topics[topic] = persist.Retention{MaxAge: hours * time.Hour}
		}
		return r
	}
	l := openPebble(t, "log", pebblelog.WithFS(errorfs.Wrap(vfs.NewMem(), inj)), pebblelog.WithClock(clock), pebblelog.WithMaxFloors(1),
		pebblelog.WithRetention(bounds(1)))
	appendAt(t, l, clock.Now(), "audit", logtest.Sequence(1, 5)...)
	appendAt(t, l, clock.Now(), "t", logtest.Sequence(6, 10)...)
	appendAt(t, l, clock.Now(), "u", logtest.Sequence(11, 20)...)
	clock.Advance(2 * time.Hour)
	l.Settle()
	require.NotZero(t, l.Floor(topic))
	last := uint64(200)
	set := func(when string, r persist.Retention) {
		t.Helper()
		require.NoError(t, l.SetRetention(r))
		require.Zero(t, l.Floor([]string{"audit"}), when)
		require.NotZero(t, l.Floor(topic), when)
	}
	heal := func(when string) {
		t.Helper()
		inj.Off()
		clock.Advance(maxPause)
		last++
		require.NoError(t, l.Append(ctx, logtest.Records(last)))
		require.Zero(t, l.Floor([]string{"audit"}), when)
	}
	set("before", bounds(3))
	set("another way to write it", bounds(3, "t"))
	for range 2 { // what was told before the first failure is remembered from then on
		inj.On()
		last++
		require.ErrorIs(t, l.Append(ctx, logtest.Records(last)), persist.ErrFailed)
		set("failed", bounds(4))
		set("failed, another way to write it", bounds(4, "u"))
		heal("healed")
		set("healed since", bounds(5))
		set("another way to write it", bounds(5, "t", "u"))
	}
	require.NoError(t, l.SetRetention(persist.Retention{Topics: map[string]persist.Retention{"audit": {MaxCount: 100}}}))
	require.NotZero(t, l.Floor(topic), "it had bounds")
	require.NoError(t, l.Close())
}
