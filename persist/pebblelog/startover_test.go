package pebblelog_test

import (
	"context"
	"testing"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/stretchr/testify/require"
)

// A log that started over is the same after it was opened again, and sound.
func TestStartOverLasts(t *testing.T) {
	for _, sync := range []bool{true, false} {
		dir := t.TempDir()
		open := func() *pebblelog.Log {
			l, err := pebblelog.Open(dir, pebblelog.WithSync(sync), pebblelog.WithRetention(persist.Retention{
				Topics: map[string]persist.Retention{persist.AnyTopic: {MaxCount: 3}}}))
			require.NoError(t, err)
			return l
		}
		l := open()
		require.NoError(t, l.BeginRun(1))
		rec := func(id uint64) persist.Record {
			return persist.Record{ID: id, Topic: "t", Time: 1, Frame: []byte("id: 1\ndata: x\n\n")}
		}
		for id := uint64(1); id < 10; id++ {
			require.NoError(t, l.Append(context.Background(), []persist.Record{rec(id)}))
		}
		require.NoError(t, l.StartOver(100))
		require.NoError(t, l.Close())
		l = open()
		require.Equal(t, []uint64{0, 100, 100}, []uint64{l.First(), l.Last(), l.Floor(nil)})
		require.Zero(t, l.LogStats().LostTail)
		require.Zero(t, l.LogStats().Count)
		require.NoError(t, l.BeginRun(101))
		require.NoError(t, l.Append(context.Background(), []persist.Record{rec(105)}))
		require.NoError(t, l.Close())
		l = open()
		require.Equal(t, []uint64{105, 105, 100}, []uint64{l.First(), l.Last(), l.Floor(nil)})
		require.EqualValues(t, 1, l.LogStats().Count)
		require.NoError(t, l.Close())
	}
}
