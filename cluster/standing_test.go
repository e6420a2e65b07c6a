package cluster_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/cluster/clustertest"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// Users who stay for longer than the stream keeps what was told of them, by its bound of
// age, of size, or as somebody purges it, have neither joined again nor left; and leave
// when they do.
func TestUsersStayForLongerThanTheirValuesAreKept(t *testing.T) {
	join, leave := engine.JoinEvent, engine.LeaveEvent
	for name, wear := range map[string]func(t *testing.T, f *clustertest.Fake, h *engine.Hub){
		"age": func(_ *testing.T, f *clustertest.Fake, _ *engine.Hub) {
			f.Bound(0, time.Hour)
			<-time.After(10 * time.Hour)
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
			<-time.After(10 * time.Second)
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
