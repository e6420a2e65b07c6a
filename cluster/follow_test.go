package cluster_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/clustertest"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// scripted is an orderer whose pages a test hands over.
type scripted struct {
	pages  chan cluster.Page
	head   func() (uint64, error)
	follow func(ctx context.Context) error // nil: it follows
}

func (o *scripted) Origin(context.Context) (uint64, error)               { return 1000, nil }
func (o *scripted) Publish(context.Context, string, []*wire.Event) error { return cluster.ErrRefused }
func (o *scripted) Head(context.Context) (uint64, error)                 { return o.head() }
func (o *scripted) Follow(ctx context.Context, _ uint64, fn func(cluster.Page) error) error {
	if o.follow != nil {
		if err := o.follow(ctx); err != nil {
			return err
		}
	}
	for {
		select {
		case p := <-o.pages:
			if err := fn(p); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func scriptedHub(t *testing.T, o *scripted) (*engine.Hub, *cluster.Node) {
	t.Helper()
	node := cluster.NewNode(o, cluster.WithLogger(logger(t)))
	hub := engine.NewHub(engine.WithSource(node), engine.WithLog(clustertest.NewReplica()), engine.WithEnableResendEvents(),
		engine.WithLogger(logger(t)), engine.WithChanBufferSize(256), engine.WithShards(1))
	t.Cleanup(hub.Close)
	return hub, node
}

// Invariant 13: a node to which the stream says nothing is not ready, whatever ephemeral
// events come: they come from hubs that are cut off with it.
func TestEphemeralEventsAreNoWordOfTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost atomic.Bool
		o := &scripted{pages: make(chan cluster.Page)}
		o.head = func() (uint64, error) {
			if lost.Load() {
				return 0, errors.New("no quorum")
			}
			return 1000, nil
		}
		hub, node := scriptedHub(t, o)
		<-time.After(time.Second)
		require.NoError(t, node.Ready())
		lost.Store(true)
		ephemeral := cluster.Page{After: 1000, UpTo: 1000, Entries: []cluster.Entry{{Event: &wire.Event{Data: "x", Ephemeral: true}}}}
		for range 200 {
			o.pages <- ephemeral
			<-time.After(100 * time.Millisecond)
		}
		require.ErrorIs(t, node.Ready(), engine.ErrUnready)
		require.ErrorContains(t, node.Ready(), "no quorum", "it says why")
		lost.Store(false)
		<-time.After(10 * time.Second)
		require.NoError(t, node.Ready())
		hub.Close()
	})
}

// Invariant 13: a node whose following ends at once each time, or brings nothing, is not
// ready once others are further for longer than its silence, though it hears them; and is
// again when it has got there.
func TestANodeThatDoesNotGetOnIsNotReady(t *testing.T) {
	for name, hang := range map[string]bool{"ends": false, "hangs": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var head atomic.Uint64
				head.Store(1000)
				var broken atomic.Bool
				o := &scripted{pages: make(chan cluster.Page), head: func() (uint64, error) { return head.Load(), nil }}
				o.follow = func(ctx context.Context) error {
					switch {
					case !broken.Load():
						return nil
					case hang:
						<-ctx.Done()
						return ctx.Err()
					}
					return errors.New("cannot read this")
				}
				node := cluster.NewNode(o, cluster.WithLogger(slog.New(slog.DiscardHandler)))
				hub := engine.NewHub(engine.WithSource(node), engine.WithLog(clustertest.NewReplica()), engine.WithEnableResendEvents(),
					engine.WithLogger(logger(t)), engine.WithChanBufferSize(256), engine.WithShards(1))
				defer hub.Close()
				<-time.After(time.Second)
				require.NoError(t, node.Ready())
				broken.Store(true)
				o.pages <- cluster.Page{After: 1000, UpTo: 1001, Entries: []cluster.Entry{{ID: 1001, Event: &wire.Event{Data: "x"}}}}
				o.pages <- cluster.Page{After: 5, UpTo: 4, Entries: []cluster.Entry{{ID: 1003, Event: &wire.Event{Data: "x"}}}} // ends the following
				head.Store(1005)
				<-time.After(30 * time.Second)
				err := node.Ready()
				require.ErrorIs(t, err, engine.ErrUnready)
				require.ErrorContains(t, err, "does not keep up")
				if !hang {
					require.ErrorContains(t, err, "cannot read this")
				}
				broken.Store(false)
				<-time.After(10 * time.Second)
				o.pages <- cluster.Page{After: 1001, UpTo: 1005}
				<-time.After(time.Second)
				require.NoError(t, node.Ready())
			})
		})
	}
}

// Invariants 4 and 13: an event that this hub can never apply holds up nothing behind it,
// and what is lost is known as such: who comes back from before it is told of a gap.
func TestAnEventThatCannotBeIsLostAndSaid(t *testing.T) {
	o := &scripted{pages: make(chan cluster.Page), head: func() (uint64, error) { return 1000, nil }}
	node := cluster.NewNode(o, cluster.WithLogger(slog.New(slog.DiscardHandler)))
	log := clustertest.NewReplica()
	hub := engine.NewHub(engine.WithSource(node), engine.WithLog(log), engine.WithEnableResendEvents(),
		engine.WithLogger(logger(t)), engine.WithChanBufferSize(256), engine.WithShards(1))
	t.Cleanup(hub.Close)
	eventually(t, "the node follows", func() bool { return node.Ready() == nil })
	entry := func(id uint64, e wire.Event) cluster.Entry { return cluster.Entry{ID: id, Event: &e} }
	o.pages <- cluster.Page{After: 1000, UpTo: 1006, Entries: []cluster.Entry{
		entry(1001, wire.Event{Data: "a"}),
		entry(1002, wire.Event{Data: "b", Topic: "no\ntopic"}),
		entry(0, wire.Event{Data: "c", Event: "no\ntype", Ephemeral: true}),
		entry(1003, wire.Event{Data: "d"}),
		entry(1004, wire.Event{Data: "e", Users: []string{}}),
		entry(1005, wire.Event{Data: "f", Users: make([]string, 100_001)}),
		entry(1006, wire.Event{Data: "g"}),
	}}
	eventually(t, "all is applied", func() bool { return node.Position() == 1006 })
	require.NoError(t, node.Ready())
	require.EqualValues(t, 1006, hub.LastID())
	require.EqualValues(t, 1005, log.Floor(nil), "what was before is not whole any more")
	page, err := log.Read(t.Context(), 1005, persist.Limit{})
	require.NoError(t, err)
	require.Len(t, page.Records, 1)
}
