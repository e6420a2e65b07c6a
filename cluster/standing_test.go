package cluster_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/clustertest"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/wire"
)

// Users who stay for longer than the stream keeps what was told of them, by its bound of
// age, of size, or as somebody purges it, have neither joined again nor left; and leave
// when they do.
func TestUsersStayForLongerThanTheirValuesAreKept(t *testing.T) {
	join, leave := engine.JoinEvent, engine.LeaveEvent
	for name, wear := range map[string]func(t *testing.T, f *clustertest.Fake, h *engine.Hub){
		"age": func(_ *testing.T, f *clustertest.Fake, _ *engine.Hub) {
			stay := 10 * time.Hour
			if testrace.On {
				stay = 3 * time.Hour
			}
			f.Bound(0, time.Hour)
			<-time.After(stay)
		},
		"size": func(t *testing.T, f *clustertest.Fake, h *engine.Hub) {
			f.Bound(400, 0)
			port := f.Port(clustertest.Failures{})
			for range 4000 {
				require.NoError(t, h.Push(nil, &wire.Event{Data: "x"}))
				<-time.After(time.Second)
				v, err := port.Value(t.Context(), "tom")
				require.NoError(t, err)
				require.NotZero(t, v.Version, "if his hubs are killed now, nobody knows of him")
			}
		},
		"purge": func(_ *testing.T, f *clustertest.Fake, _ *engine.Hub) {
			f.Purge(0)
			<-time.After(20 * time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := clustertest.NewFake(1, 1000)
				a, b := startPresent(t, f, clustertest.Failures{}), startPresent(t, f, clustertest.Failures{})
				<-time.After(3 * time.Second)
				a.join("ann")
				a.join("tom")
				b.join("tom")
				<-time.After(3 * time.Second)
				wear(t, f, a.hub)
				b.join("ann")
				<-time.After(3 * time.Second)
				require.Equal(t, map[string][]string{"ann": {join}, "tom": {join}}, told(t, f))
				a.leave("ann")
				a.leave("tom")
				<-time.After(3 * time.Second)
				require.Equal(t, map[string][]string{"ann": {join}, "tom": {join}}, told(t, f))
				b.leave("ann")
				b.leave("tom")
				<-time.After(3 * time.Second)
				require.Equal(t, map[string][]string{"ann": {join, leave}, "tom": {join, leave}}, told(t, f))
				a.end()
				b.end()
			})
		})
	}
}

// A user whose value is gone from the stream when he leaves leaves all the same.
func TestAUserLeavesWhoseValueIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clustertest.NewFake(1, 1000)
		a := startPresent(t, f, clustertest.Failures{})
		<-time.After(3 * time.Second)
		a.join("tom")
		<-time.After(3 * time.Second)
		f.Purge(0)
		a.leave("tom")
		<-time.After(3 * time.Second)
		require.Equal(t, map[string][]string{"tom": {engine.JoinEvent, engine.LeaveEvent}}, told(t, f))
		a.end()
	})
}

// A user at two hubs whose value is gone from the stream has not left with the first of them.
func TestAUserAtTwoHubsLeavesOnceThoughHisValueIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clustertest.NewFake(1, 1000)
		a, b := startPresent(t, f, clustertest.Failures{}), startPresent(t, f, clustertest.Failures{})
		<-time.After(3 * time.Second)
		a.join("tom")
		b.join("tom")
		<-time.After(3 * time.Second)
		f.Purge(0)
		a.leave("tom")
		<-time.After(20 * time.Second)
		require.Equal(t, map[string][]string{"tom": {engine.JoinEvent}}, told(t, f))
		b.leave("tom")
		<-time.After(3 * time.Second)
		require.Equal(t, map[string][]string{"tom": {engine.JoinEvent, engine.LeaveEvent}}, told(t, f))
		a.end()
		b.end()
	})
}

// A user whose value is gone from the stream, and who has left one hub while another had not
// yet been told, is not taken to be at the first for ever.
func TestAUserLeavesThoughAHubThatIsLateTakesHimToBeElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clustertest.NewFake(1, 1000)
		l := &late{Port: f.Port(clustertest.Failures{})}
		a, b := startPresentAt(t, l.Port, l), startPresent(t, f, clustertest.Failures{})
		<-time.After(3 * time.Second)
		a.join("tom")
		b.join("tom")
		<-time.After(3 * time.Second)
		l.hold.Store(true)
		b.leave("tom")
		<-time.After(time.Second)
		f.Purge(0)
		a.leave("tom")
		<-time.After(time.Second)
		l.hold.Store(false)
		<-time.After(10 * time.Second)
		require.Equal(t, map[string][]string{"tom": {engine.JoinEvent, engine.LeaveEvent}}, told(t, f))
		a.end()
		b.end()
	})
}

// late is a way to the stream that counts changes of values, and brings nothing for a time.
type late struct {
	*clustertest.Port
	hold    atomic.Bool
	changes atomic.Int64
}

func (l *late) Follow(ctx context.Context, after uint64, fn func(cluster.Page) error) error {
	return l.Port.Follow(ctx, after, func(p cluster.Page) error {
		for l.hold.Load() {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return fn(p)
	})
}

func (l *late) Change(ctx context.Context, name string, version uint64, data []byte, events []*wire.Event) error {
	l.changes.Add(1)
	return l.Port.Change(ctx, name, version, data, events)
}

// A hub that follows late puts a value that the stream drops again, but not each time that
// it looks: that would make it, and the others, later still.
func TestAHubThatFollowsLateDoesNotRepeatItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clustertest.NewFake(1, 1000)
		l := &late{Port: f.Port(clustertest.Failures{})}
		a := startPresentAt(t, l.Port, l)
		<-time.After(3 * time.Second)
		a.join("tom")
		<-time.After(20 * time.Second)
		require.EqualValues(t, 1, l.changes.Load())
		l.hold.Store(true)
		f.Purge(0)
		<-time.After(time.Minute)
		v, err := l.Value(t.Context(), "tom")
		require.NoError(t, err)
		require.NotZero(t, v.Version)
		require.LessOrEqual(t, l.changes.Load(), int64(7), "every ten seconds")
		l.hold.Store(false)
		<-time.After(20 * time.Second)
		put := l.changes.Load()
		<-time.After(time.Minute)
		require.Equal(t, put, l.changes.Load(), "it has seen it")
		require.Equal(t, map[string][]string{"tom": {engine.JoinEvent}}, told(t, f))
		a.end()
	})
}
