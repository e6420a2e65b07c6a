package persist_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/wire"
)

func TestFromStoreReturnsLogs(t *testing.T) {
	m := persist.NewMemory()
	require.Same(t, m, persist.FromStore(m))
}

// TestFromStoreSaves holds what a Store is given: a copy with everything in it.
func TestFromStoreSaves(t *testing.T) {
	s := new(mapStore)
	l := persist.FromStore(s)
	require.NoError(t, l.Append(ctx, []persist.Record{{
		ID: 7, Users: []string{"u"}, Topic: "t", Key: "k",
		Frame: []byte("id: 7\nevent: order\ndata: a\ndata: b\n\n"),
	}}))
	require.Equal(t, &wire.Event{ID: "7", Event: "order", Data: "a\nb", Users: []string{"u"}, Topic: "t", Key: "k"}, s.events[0])
}

var errStore = errors.New("store is down")

// TestFromStorePartial holds that of a batch that fails in the middle the first
// part is readable and the rest never, even where the Store has kept it.
func TestFromStorePartial(t *testing.T) {
	s := new(mapStore)
	broken := false
	s.late = func(e *wire.Event) error {
		if broken && e.ID == "6" {
			return errStore
		}
		return nil
	}
	l := persist.FromStore(s)
	require.NoError(t, l.Append(ctx, logtest.Records(1, 2, 3)))
	broken = true
	err := l.Append(ctx, logtest.Records(4, 5, 6, 7, 8))
	var partial *persist.PartialError
	require.ErrorAs(t, err, &partial)
	require.Equal(t, 2, partial.Taken)
	require.ErrorIs(t, err, errStore)
	require.Equal(t, uint64(5), l.Last())
	require.Equal(t, logtest.Sequence(1, 5), logtest.IDs(logtest.ReadAll(t, l, 0, 2)))

	err = l.Append(ctx, logtest.Records(6, 9))
	require.ErrorIs(t, err, errStore)
	require.False(t, errors.As(err, &partial), "nothing was taken")

	broken = false
	require.NoError(t, l.Append(ctx, logtest.Records(10, 11)))
	require.Equal(t, []uint64{1, 2, 3, 4, 5, 10, 11}, logtest.IDs(logtest.ReadAll(t, l, 0, 2)))
	has, err := l.Has(ctx, 6)
	require.NoError(t, err)
	require.False(t, has)
}

// TestFromStoreRetry holds that an ID that failed counts once it is saved.
func TestFromStoreRetry(t *testing.T) {
	s := new(mapStore)
	s.fail = func(*wire.Event) error { return errStore }
	l := persist.FromStore(s)
	require.ErrorIs(t, l.Append(ctx, logtest.Records(1, 2, 3)), errStore)
	s.fail = nil
	require.NoError(t, l.Append(ctx, logtest.Records(2)))
	require.Equal(t, []uint64{2}, logtest.IDs(logtest.ReadAll(t, l, 0, 10)))
	require.NoError(t, l.Append(ctx, logtest.Records(3)))
	require.Equal(t, []uint64{2, 3}, logtest.IDs(logtest.ReadAll(t, l, 0, 10)))
}

// TestFromStoreRefusesLeaks holds invariant 4: a Store that loses who an event is
// for gets no such events, since on resend everyone would see them.
func TestFromStoreRefusesLeaks(t *testing.T) {
	l := persist.FromStore(new(forgetful))
	require.NoError(t, l.Append(ctx, logtest.Records(1)))
	secret := func(id uint64) []persist.Record {
		return []persist.Record{{ID: id, Users: []string{"u"}, Frame: logtest.Frame(id, 1)}}
	}
	require.ErrorIs(t, l.Append(ctx, secret(2)), persist.ErrStoreLoses)
	require.ErrorIs(t, l.Append(ctx, secret(3)), persist.ErrStoreLoses)
	require.NoError(t, l.Append(ctx, logtest.Records(4)))
	require.Equal(t, []uint64{1, 4}, logtest.IDs(logtest.ReadAll(t, l, 0, 10)))
}

// TestFromStoreUpToDateAsksNothing holds that live clients cost a Store nothing.
func TestFromStoreUpToDateAsksNothing(t *testing.T) {
	s := new(seedStore)
	l := persist.FromStore(s)
	require.NoError(t, l.Append(ctx, logtest.Records(1, 2, 3)))
	s.calls = 0
	for _, after := range []uint64{3, 100} {
		p, err := l.Read(ctx, after, persist.Limit{})
		require.NoError(t, err)
		require.Equal(t, persist.Page{UpTo: after}, p)
	}
	require.Zero(t, s.calls)
}

// TestFromStoreNextLife holds that what an earlier life saved is read, also of
// types of which this life knows only the name; and that an ID that a client made
// up does not become the last one.
func TestFromStoreNextLife(t *testing.T) {
	s := new(seedStore)
	first := persist.FromStore(s)
	for id := uint64(1); id <= 30; id++ {
		typ := []string{"message", "order", ""}[id%3]
		frame, err := wire.AppendEvent(nil, &wire.Event{ID: wire.FormatID(id), Event: typ, Data: "x"})
		require.NoError(t, err)
		require.NoError(t, first.Append(ctx, []persist.Record{{ID: id, Frame: frame}}))
	}
	require.NoError(t, first.Close())

	l := persist.FromStore(s, persist.WithEventTypes("order"))
	require.Zero(t, l.Last(), "nobody can tell yet")
	p, err := l.Read(ctx, 1<<60, persist.Limit{})
	require.NoError(t, err)
	require.Equal(t, persist.Page{UpTo: 1 << 60}, p)
	require.Zero(t, l.Last())
	require.Equal(t, uint64(1), l.First())
	p, err = l.Read(ctx, 3, persist.Limit{Records: 4})
	require.NoError(t, err)
	require.Equal(t, logtest.Sequence(4, 7), logtest.IDs(p.Records))
	require.Equal(t, logtest.Sequence(21, 30), logtest.IDs(logtest.ReadAll(t, l, 20, 3)), "a reader that is further than others gets the rest too")
	require.Equal(t, uint64(30), l.Last())
	require.NoError(t, l.Append(ctx, logtest.Records(31)))
	require.Equal(t, logtest.Sequence(29, 31), logtest.IDs(logtest.ReadAll(t, l, 28, 10)))
}

// TestFromStoreReadError holds that errors of the Store come through.
func TestFromStoreReadError(t *testing.T) {
	l := persist.FromStore(failingStore{})
	_, err := l.Read(ctx, 0, persist.Limit{})
	require.ErrorIs(t, err, errStore)
	_, err = l.Has(ctx, 5)
	require.ErrorIs(t, err, errStore)
	require.Zero(t, l.First())

	l = persist.FromStore(namingStore{})
	_, err = l.Read(ctx, 0, persist.Limit{})
	require.ErrorIs(t, err, wire.ErrID)
}

type failingStore struct{}

func (failingStore) Save(context.Context, *wire.Event) error { return errStore }
func (failingStore) ListByLastID(context.Context, string, string, int) ([]*wire.Event, string, error) {
	return nil, "", errStore
}

// namingStore gives its events names instead of numbers.
type namingStore struct{ failingStore }

func (namingStore) ListByLastID(context.Context, string, string, int) ([]*wire.Event, string, error) {
	return []*wire.Event{{ID: "one", Data: "x"}}, "", nil
}

// TestFromStoreAheadOfTheClock holds that a Store with IDs ahead of the clock does not
// refuse every push: it is found at the start, and new IDs follow it.
func TestFromStoreAheadOfTheClock(t *testing.T) {
	clock := logtest.NewClock()
	now := uint64(clock.Now().UnixMicro()) * 4
	for name, s := range map[string]persist.Store{"map": new(mapStore), "seed": new(seedStore)} {
		t.Run(name, func(t *testing.T) {
			for _, id := range []uint64{5, 6, now + 1_000_000, now + 1_000_001} {
				require.NoError(t, s.Save(ctx, &wire.Event{ID: wire.FormatID(id), Event: "message", Data: "x"}))
			}
			var said bytes.Buffer
			l := persist.FromStore(s, persist.WithClock(clock), persist.WithLogger(slog.New(slog.NewTextHandler(&said, nil))))
			require.Equal(t, now+1_000_001, l.Last())
			require.Contains(t, said.String(), "ahead of the clock")
			require.ErrorIs(t, l.(persist.Runs).BeginRun(now), persist.ErrOrder)
			require.NoError(t, l.(persist.Runs).BeginRun(now+1_000_002))
			require.NoError(t, l.Append(ctx, logtest.Records(now+1_000_002)))
			require.Equal(t, []uint64{5, 6, now + 1_000_000, now + 1_000_001, now + 1_000_002}, logtest.IDs(logtest.ReadAll(t, l, 0, 2)))
		})
	}
}

// hangingStore answers when its context ends.
type hangingStore struct{ mapStore }

func (*hangingStore) ListByLastID(ctx context.Context, _, _ string, _ int) ([]*wire.Event, string, error) {
	<-ctx.Done()
	return nil, "", ctx.Err()
}

// TestFromStoreThatHangs is invariant 9 for a Store that does not answer: who asks what
// is in it without a context is held for a bounded time, and is not held again.
func TestFromStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := persist.FromStore(new(hangingStore))
		start := time.Now()
		require.Zero(t, l.Last())
		require.Less(t, time.Since(start), time.Minute)
		start = time.Now()
		require.Zero(t, l.Last())
		require.NoError(t, l.(persist.Runs).BeginRun(7))
		require.Zero(t, time.Since(start))
		require.Zero(t, l.First())
		require.Less(t, time.Since(start), time.Minute)
		require.NoError(t, l.Append(ctx, logtest.Records(7)))
		require.NoError(t, l.Close())
	})
}

// TestFromStoreOfForgedEvents is invariant 7 for a Store that others write to: an event
// of a type that is the hub's own is refused by name.
func TestFromStoreOfForgedEvents(t *testing.T) {
	s := new(mapStore)
	s.events = []*wire.Event{{ID: "1", Event: wire.DisconnectType, Data: `{"reason":"closed"}`}}
	_, err := persist.FromStore(s, persist.WithEventTypes(wire.DisconnectType)).Read(ctx, 0, persist.Limit{})
	require.ErrorContains(t, err, "event 1 of the store")
	require.ErrorContains(t, err, wire.DisconnectType)
}
