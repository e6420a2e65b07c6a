package cluster_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/clustertest"
	"github.com/spatehub/spate/engine"
)

const gone = 20 * time.Second

// present is a hub that tells of users together with others.
type present struct {
	t     *testing.T
	port  *clustertest.Port
	hub   *engine.Hub
	peers *cluster.Peers
	conns map[string][]engine.Subscriber
}

func startPresent(t *testing.T, f *clustertest.Fake, failures clustertest.Failures) *present {
	t.Helper()
	port := f.Port(failures)
	return startPresentAt(t, port, port)
}

// startPresentAt starts one that orders by o, on the bus of port.
func startPresentAt(t *testing.T, port *clustertest.Port, o cluster.Orderer) *present {
	t.Helper()
	p := &present{t: t, port: port, conns: map[string][]engine.Subscriber{}}
	node := cluster.NewNode(o, cluster.WithLogger(logger(t)), cluster.WithPresence(gone))
	p.hub = engine.NewHub(engine.WithSource(node), engine.WithLog(clustertest.NewReplica()), engine.WithEnableResendEvents(), engine.WithLogger(logger(t)),
		engine.WithChanBufferSize(256), engine.WithShards(2), engine.WithPresence("presence"), engine.WithDrainTimeout(time.Second))
	p.peers = startPeer(t, p.port, "hub", nil)
	node.Meet(p.peers)
	return p
}

// end ends the hub, also one that is cut off.
func (p *present) end() {
	p.hub.Close()
	p.peers.Close()
	p.port.Wait()
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Close(error)                 {}

func (p *present) join(uid string) {
	p.t.Helper()
	s, err := p.hub.Subscribe(engine.Subscription{UID: uid, Form: engine.FormPlain}, nowhere{})
	require.NoError(p.t, err)
	p.conns[uid] = append(p.conns[uid], s)
}

func (p *present) leave(uid string) {
	mine := p.conns[uid]
	mine[0].Hangup(nil)
	p.conns[uid] = mine[1:]
}

// told is what was told of users, by user.
func told(t *testing.T, f *clustertest.Fake) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, e := range f.Committed() {
		if e.Event.Topic != "presence" {
			continue
		}
		var p engine.Presence
		require.NoError(t, json.Unmarshal(e.Event.Data.([]byte), &p))
		all[p.UID] = append(all[p.UID], e.Event.Event)
	}
	return all
}

// A user with connections at several nodes joins once and leaves once: after the last of
// them, also where a node is killed, a while later, or all are. Who comes back elsewhere
// in that time has never left. One who is at a node that others take for gone joins again
// once that hears them.
func TestUsersJoinAndLeaveAClusterOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clustertest.NewFake(1, 1000)
		a, b, c := startPresent(t, f, clustertest.Failures{}), startPresent(t, f, clustertest.Failures{}), startPresent(t, f, clustertest.Failures{})
		soon := func() { <-time.After(3 * time.Second) }
		join, leave := engine.JoinEvent, engine.LeaveEvent
		want := func(what string, uid string, events ...string) {
			t.Helper()
			require.Equal(t, events, told(t, f)[uid], what)
		}
		soon()
		a.join("tom")
		a.join("tom")
		b.join("tom")
		soon()
		want("at two", "tom", join)
		a.leave("tom")
		a.leave("tom")
		soon()
		want("at one", "tom", join)
		b.leave("tom")
		soon()
		want("nowhere", "tom", join, leave)

		a.join("ann")
		a.join("eve")
		a.join("tim")
		b.join("tim")
		soon()
		a.port.Cut(true) // it is killed, as far as the others see
		soon()
		b.join("eve") // comes back elsewhere
		<-time.After(gone / 2)
		want("it may come back", "ann", join)
		<-time.After(gone)
		want("gone", "ann", join, leave)
		want("elsewhere", "eve", join)
		want("there too", "tim", join)
		b.leave("tim")
		soon()
		want("gone there too", "tim", join, leave)

		a.port.Cut(false) // it was not
		<-time.After(10 * time.Second)
		want("back", "ann", join, leave, join)
		want("back", "tim", join, leave, join)
		want("back", "eve", join)

		for _, p := range []*present{a, b, c} { // all at one time
			p.port.Cut(true)
			p.end()
		}
		d := startPresent(t, f, clustertest.Failures{})
		soon()
		d.join("eve")
		soon()
		want("of before", "eve", join)
		<-time.After(2 * gone)
		want("of before", "eve", join)
		want("of before", "ann", join, leave, join, leave)
		d.leave("eve")
		soon()
		want("now", "eve", join, leave)
		require.Len(t, told(t, f), 4)
		d.end()
	})
}

// Users of a hub that is gone leave also where those who take it out read values of before:
// that it is not in one of these says nothing.
func TestUsersLeaveThoughOldValuesAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clustertest.NewFake(1, 1000)
		a, b := startPresent(t, f, clustertest.Failures{}), startPresent(t, f, clustertest.Failures{})
		<-time.After(3 * time.Second)
		want := map[string][]string{}
		for i := range 20 {
			uid := fmt.Sprint("u", i)
			a.join(uid)
			want[uid] = []string{engine.JoinEvent, engine.LeaveEvent}
		}
		<-time.After(3 * time.Second)
		b.port.SetFailures(clustertest.Failures{Stale: 500})
		a.port.Cut(true)
		a.end()
		<-time.After(2 * gone)
		require.Equal(t, want, told(t, f))
		b.end()
	})
}

// A node that others have taken for gone, that enters itself again, and is killed before
// they hear it again, has no users any more either: it was named, if not heard.
func TestAUserLeavesWhoseHubWasNotHeardAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clustertest.NewFake(1, 1000)
		a, b := startPresent(t, f, clustertest.Failures{}), startPresent(t, f, clustertest.Failures{})
		<-time.After(3 * time.Second)
		a.join("ann")
		<-time.After(3 * time.Second)
		a.port.Hush(true)
		eventually(t, "it is taken for gone, and enters itself again", func() bool { return len(told(t, f)["ann"]) == 3 })
		a.port.Cut(true) // it is killed, as far as the others see
		a.end()
		<-time.After(2 * gone)
		require.Equal(t, []string{engine.JoinEvent, engine.LeaveEvent, engine.JoinEvent, engine.LeaveEvent}, told(t, f)["ann"])
		b.end()
	})
}

// Users of a node that is there, and that others do not hear, leave and join again ever more
// seldom; once it was heard they are told of as those of any other.
func TestUsersOfAHubThatIsNotHeardAreToldOfSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clustertest.NewFake(1, 1000)
		a, b := startPresent(t, f, clustertest.Failures{}), startPresent(t, f, clustertest.Failures{})
		<-time.After(3 * time.Second)
		a.join("ann")
		<-time.After(3 * time.Second)
		a.port.Hush(true)
		<-time.After(10 * time.Minute)
		events := told(t, f)["ann"]
		require.Greater(t, len(events), 2, "it is taken for gone")
		require.LessOrEqual(t, len(events), 11, "after 20 s, and 20, 40, 80, 160 and 320 more")
		require.Equal(t, engine.JoinEvent, events[len(events)-1])
		a.port.Hush(false)
		<-time.After(10 * time.Second)
		require.Len(t, told(t, f)["ann"], len(events))
		a.port.Cut(true) // it is killed, as far as the others see
		a.end()
		<-time.After(2 * gone)
		require.Equal(t, append(events, engine.LeaveEvent), told(t, f)["ann"])
		b.end()
	})
}

// Over a bad network, with nodes that are cut off, end and begin: each user joins and
// leaves in turn, and in the end is told to be where it is.
func TestUsersJoinAndLeaveInTurn(t *testing.T) {
	n := seed(t)
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(n, 3))
		f := clustertest.NewFake(n, 1000)
		bad := clustertest.Failures{LostRequest: 50, LostAnswer: 50, Late: 50, Repeat: 100, Break: 5, Stale: 100, Slow: 3 * time.Millisecond}
		all := []*present{startPresent(t, f, bad), startPresent(t, f, bad), startPresent(t, f, bad)}
		<-time.After(5 * time.Second)
		for range 1500 {
			<-time.After(time.Duration(rng.IntN(100)) * time.Millisecond)
			i := rng.IntN(3)
			p, uid := all[i], fmt.Sprint("u", rng.IntN(8))
			switch n := rng.IntN(100); {
			case n == 0:
				p.port.Cut(true)
				<-time.After(time.Duration(rng.IntN(60)) * time.Second)
				p.port.Cut(false)
			case n == 1:
				p.port.Cut(true)
				p.end()
				all[i] = startPresent(t, f, bad)
				<-time.After(5 * time.Second)
			case n < 50 && len(p.conns[uid]) > 0:
				p.leave(uid)
			default:
				p.join(uid)
			}
		}
		<-time.After(3 * gone)
		there := map[string]bool{}
		for _, p := range all {
			for uid, conns := range p.conns {
				there[uid] = there[uid] || len(conns) > 0
			}
		}
		for uid, events := range told(t, f) {
			for i, e := range events {
				require.Equal(t, []string{engine.JoinEvent, engine.LeaveEvent}[i%2], e, "%s: %v", uid, events)
			}
			require.Equal(t, there[uid], len(events)%2 == 1, "%s: %v", uid, events)
		}
		for uid, is := range there {
			if is {
				require.NotEmpty(t, told(t, f)[uid], uid)
			}
		}
		for _, p := range all {
			p.port.SetFailures(clustertest.Failures{})
			p.end()
		}
	})
}
