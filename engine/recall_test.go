package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// sweptLog is a log of which retention removes all up to an ID while it is read.
type sweptLog struct {
	*fakeLog
	read  int32 // during this reading
	floor uint64
}

func (l *sweptLog) Floor(topics []string) uint64 {
	if l.reads.Load() >= l.read {
		return l.floor
	}
	return l.fakeLog.Floor(topics)
}

// Invariant 3, of a page of history: what retention takes while the page is read is told
// before what follows it, on the next page where some comes before; and nothing is both
// told as missing and there.
func TestHistoryWhileRetentionIsAtWork(t *testing.T) {
	for _, c := range []struct {
		name         string
		read         int32
		first, after []string // data of the first page, and of the one behind its gap
	}{
		{"during the first reading", 1, nil, []string{"3", "4"}},
		{"during a later one", 2, []string{"1", "2"}, []string{"4"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &sweptLog{fakeLog: newFakeLog(), read: 1 << 30}
			h := newHub(t, engine.WithLog(l), engine.WithEnableResendEvents())
			var ids []uint64
			for i := range 5 {
				data := string(rune('0'+i)) + strings.Repeat("x", 100<<10) // two fill a reading
				got, err := h.Publish(context.Background(), nil, message(data))
				require.NoError(t, err)
				ids = append(ids, got[0])
			}
			l.reads.Store(0)
			l.read, l.floor = c.read, ids[len(ids)-1-len(c.after)]
			page := func(after uint64) ([]string, engine.HistoryPage) {
				seat, err := h.Seat(context.Background(), engine.Subscription{LastEventID: wire.FormatID(after)})
				require.NoError(t, err)
				p, err := seat.History(context.Background(), 1000)
				require.NoError(t, err)
				var data []string
				for _, e := range p.Events {
					data = append(data, e.Event.Data.(string)[:1])
				}
				return data, p
			}
			at := ids[0]
			if c.first != nil {
				data, p := page(at)
				require.Equal(t, c.first, data)
				require.False(t, p.Lost)
				require.True(t, p.More)
				at = p.Next
			}
			data, p := page(at)
			require.Equal(t, c.after, data)
			require.True(t, p.Lost)
			require.Equal(t, engine.Gap{From: wire.FormatID(at), To: wire.FormatID(l.floor)}, p.Gap)
		})
	}
}
