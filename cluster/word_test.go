package cluster_test

import (
	"bytes"
	"sync"
	"testing"

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
