package cluster_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/clustertest"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// tape records what a connection gets.
type tape struct {
	mu     sync.Mutex
	got    bytes.Buffer
	closed chan struct{}
}

func (s *tape) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.Write(p)
}

func (s *tape) Close(error) { close(s.closed) }

func (s *tape) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

// Invariant 4: what a word takes away is gone for what comes behind it in the stream, also
// in the same page: at each word all that is before it is applied, and nothing else. Notes
// of pushes with a key are no words.
func TestAWordIsSaidInItsPlace(t *testing.T) {
	o := &scripted{pages: make(chan cluster.Page), head: func() (uint64, error) { return 1000, nil }}
	node := cluster.NewNode(o, cluster.WithLogger(logger(t)))
	type moment struct {
		text string
		last uint64
	}
	var hub *engine.Hub
	var tom engine.Subscriber
	words := make(chan moment, 10)
	node.OnWord(func(text []byte) {
		words <- moment{string(text), hub.LastID()}
		tom.Revoke()
	}, func() {})
	hub = engine.NewHub(engine.WithSource(node), engine.WithLog(clustertest.NewReplica()), engine.WithEnableResendEvents(),
		engine.WithLogger(logger(t)), engine.WithChanBufferSize(256), engine.WithShards(1))
	t.Cleanup(hub.Close)
	eventually(t, "the node follows", func() bool { return node.Ready() == nil })
	sink := &tape{closed: make(chan struct{})}
	var err error
	tom, err = hub.Subscribe(engine.Subscription{UID: "tom", Form: engine.FormPlain}, sink)
	require.NoError(t, err)
	entry := func(id uint64, data string) cluster.Entry {
		return cluster.Entry{ID: id, Event: &wire.Event{Data: data, Users: []string{"tom"}}}
	}
	o.pages <- cluster.Page{After: 1000, UpTo: 1009,
		Entries: []cluster.Entry{entry(1001, "before"), {Event: &wire.Event{Data: "ephemeral", Ephemeral: true}}, entry(1005, "secret"), entry(1008, "secret too")},
		Notes: []cluster.Note{
			{ID: 1002, Token: "key-k", Data: []byte("of a push")}, {ID: 1003, Token: "NODE-1", Data: []byte("one")},
			{ID: 1006, Token: "NODE-2", Data: []byte("two")}, {ID: 1009, Token: "NODE-3", Data: []byte("three")},
		}}
	eventually(t, "all is applied", func() bool { return node.Position() == 1009 })
	close(words)
	var said []moment
	for m := range words {
		said = append(said, m)
	}
	require.Equal(t, []moment{{"one", 1001}, {"two", 1005}, {"three", 1008}}, said)
	require.EqualValues(t, 1009, hub.LastID())
	<-sink.closed
	require.NotContains(t, sink.String(), "secret")
}

// startNode starts a hub over the fake, which hears words.
func startNode(t *testing.T, port *clustertest.Port, said func(text []byte)) (*cluster.Node, *engine.Hub) {
	t.Helper()
	node := cluster.NewNode(port, cluster.WithLogger(logger(t)))
	node.OnWord(said, func() {})
	hub := engine.NewHub(engine.WithSource(node), engine.WithLog(clustertest.NewReplica()), engine.WithEnableResendEvents(),
		engine.WithLogger(logger(t)), engine.WithChanBufferSize(256), engine.WithShards(1), engine.WithDrainTimeout(200*time.Millisecond))
	t.Cleanup(func() {
		hub.Close()
		port.Wait()
	})
	eventually(t, "the node follows", func() bool { return node.Ready() == nil })
	return node, hub
}

// Over a bad network each node hears all words in their order, at first each at its place
// among the events.
func TestWordsAreHeardInTheirPlaces(t *testing.T) {
	bad := clustertest.Failures{LostRequest: 50, LostAnswer: 50, Late: 50, Repeat: 100, Break: 20}
	f := clustertest.NewFake(seed(t), 1000)
	type moment struct {
		text string
		last uint64
	}
	var mu sync.Mutex
	heard := [2][]moment{}
	var nodes [2]*cluster.Node
	var hubs [2]*engine.Hub
	var begun sync.WaitGroup
	begun.Add(1)
	for i := range nodes {
		nodes[i], hubs[i] = startNode(t, f.Port(bad), func(text []byte) {
			begun.Wait() // hubs is written
			mu.Lock()
			defer mu.Unlock()
			for _, was := range heard[i] {
				if was.text == string(text) {
					return // again
				}
			}
			heard[i] = append(heard[i], moment{string(text), hubs[i].LastID()})
		})
	}
	begun.Done()
	var want []string
	var before, after []uint64 // IDs of the events around each word
	push := func(to *[]uint64) {
		ids, err := hubs[0].Publish(t.Context(), nil, &wire.Event{Data: "x"})
		require.NoError(t, err)
		*to = append(*to, ids...)
	}
	for i := range 100 {
		want = append(want, fmt.Sprintf("word %d", i))
		push(&before)
		require.NoError(t, nodes[i%2].Announce(t.Context(), []byte(want[i])))
		push(&after)
	}
	for i, hub := range hubs {
		eventually(t, "all is applied", func() bool { return hub.LastID() >= after[99] })
		mu.Lock()
		require.Len(t, heard[i], 100)
		for k, m := range heard[i] {
			require.Equal(t, want[k], m.text)
			require.GreaterOrEqual(t, m.last, before[k])
			require.Less(t, m.last, after[k])
		}
		mu.Unlock()
	}
}

// What is posted at one node is found at another one, the last of a key alone, until its
// time is over; an orderer without a board says so.
func TestTheBoardIsTheNodesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clustertest.NewFake(1, 1000)
		bad := f.Port(clustertest.Failures{LostRequest: 200, LostAnswer: 200, Late: 200})
		there, err := cluster.NewNode(bad).Board()
		require.NoError(t, err)
		post := func(key, text string, until time.Time) {
			for there.Post(t.Context(), key, []byte(text), until) != nil {
				bad.Wait() // nobody knows: again
			}
		}
		post("ann", "old", time.Time{})
		post("ann", "new", time.Time{})
		post("tom", "an hour", time.Now().Add(time.Hour))
		here, err := cluster.NewNode(f.Port(clustertest.Failures{})).Board()
		require.NoError(t, err)
		found := func() map[string]string {
			all := map[string]string{}
			require.NoError(t, here.Posted(t.Context(), func(key string, text []byte) error {
				all[key] = string(text)
				return nil
			}))
			return all
		}
		require.Equal(t, map[string]string{"ann": "new", "tom": "an hour"}, found())
		<-time.After(time.Hour)
		require.Equal(t, map[string]string{"ann": "new"}, found())
		stop := errors.New("stop")
		require.ErrorIs(t, here.Posted(t.Context(), func(string, []byte) error { return stop }), stop)
		_, err = cluster.NewNode(&scripted{}).Board()
		require.ErrorIs(t, err, cluster.ErrNoBoard)
		require.ErrorIs(t, cluster.NewNode(&scripted{}).Announce(t.Context(), nil), engine.ErrNoNotes)
	})
}
