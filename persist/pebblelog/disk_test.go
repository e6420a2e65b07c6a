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

// TestDiskUseFollowsRetention holds that what retention removes does not stay on
// the disk: because a compaction drops the files once the range delete is flushed,
// or because the keeper looks after it some time later.
func TestDiskUseFollowsRetention(t *testing.T) {
	testrace.Pointless(t)
	for name, flushDelay := range map[string]time.Duration{"compaction": time.Millisecond, "keeper": time.Hour} {
		t.Run(name, func(t *testing.T) {
			const total, kept = 40 << 20, 4 << 20
			clock := logtest.NewClock()
			l := openPebble(t, t.TempDir(), pebblelog.WithSync(false), pebblelog.WithClock(clock),
				pebblelog.WithFlushDelay(flushDelay), pebblelog.WithMemTable(1<<20),
				pebblelog.WithRetention(persist.Retention{MaxAge: 24 * time.Hour}))
			fill := func(from, bytes int) {
				for i := range bytes / (64 << 10) {
					id := uint64(from + i)
					require.NoError(t, l.Append(ctx, []persist.Record{
						{ID: id, Topic: "t", Time: clock.Now().UnixMilli(), Frame: randomFrame(id, 64<<10)},
					}))
				}
			}
			fill(1, total-kept)
			require.Greater(t, l.LogStats().DiskBytes, int64(total-2*kept))
			clock.Advance(20 * time.Hour)
			fill(1_000_000, kept)
			clock.Advance(10 * time.Hour)
			l.Settle()
			require.Equal(t, uint64(1_000_000), l.First())
			require.Eventually(t, func() bool {
				clock.Advance(time.Second)
				return l.LogStats().DiskBytes < total/2
			}, 60*time.Second, 10*time.Millisecond)
			require.Len(t, logtest.ReadAll(t, l, 0, 1000), kept/(64<<10))
			require.NoError(t, l.Close())
		})
	}
}
