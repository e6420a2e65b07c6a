package natstest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/jetstream"
	"github.com/spatehub/spate/cluster/jetstream/natstest"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// TestFigures measures what docs/cluster.md tells: bare clients and hubs on the same
// servers, in turn. It is run by hand, as it takes long and machines differ.
func TestFigures(t *testing.T) {
	if os.Getenv("SPATETEST_CLUSTER_FIGURES") == "" {
		t.Skip("set SPATETEST_CLUSTER_FIGURES to have it")
	}
	var perSecond int
	if n, _ := fmt.Sscanf(os.Getenv("SPATETEST_CLUSTER_FIGURES"), "sockets-%d", &perSecond); n == 1 && perSecond > 0 {
		figuresSockets(t, perSecond) // by itself: it takes two minutes
		return
	}
	servers := natstest.Start(t, 3)
	t.Run("push", func(t *testing.T) { figuresPush(t, servers) })
	t.Run("latency", func(t *testing.T) { figuresLatency(t, servers) })
	t.Run("move", func(t *testing.T) { figuresMove(t, servers) })
	t.Run("fanout", func(t *testing.T) { figuresFanout(t, servers) })
	t.Run("follow", func(t *testing.T) { figuresFollow(t, servers) })
}

var data200 = strings.Repeat("x", 200)

// realHub is a hub with a log on disk, as spate serve has it.
func realHub(t testing.TB, servers *natstest.Cluster, stream string) (*engine.Hub, *cluster.Node) {
	s, err := jetstream.Open(within(t, 20*time.Second), connect(t, servers.URL()), jetstream.WithStream(stream))
	require.NoError(t, err)
	log, err := pebblelog.Open(t.TempDir(), pebblelog.WithSync(false), pebblelog.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	require.NoError(t, err)
	node := cluster.NewNode(s)
	hub := engine.NewHub(engine.WithSource(node), engine.WithLog(log), engine.WithEnableResendEvents())
	t.Cleanup(hub.Close)
	eventually(t, func() bool { return hub.Ready() == nil })
	return hub, node
}

// rate calls do from n goroutines for a while, and returns how often a second.
func rate(n int, d time.Duration, do func(i int)) float64 {
	var calls atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for range n {
		all.Go(func() {
			for time.Since(start) < d {
				do(int(calls.Add(1)))
			}
		})
	}
	all.Wait()
	return float64(calls.Load()) / time.Since(start).Seconds()
}

func spread(values []float64) string {
	slices.Sort(values)
	return fmt.Sprintf("median %.2f, from %.2f to %.2f", values[len(values)/2], values[0], values[len(values)-1])
}

func figuresPush(t *testing.T, servers *natstest.Cluster) {
	hub, _ := realHub(t, servers, "pushes")
	nc := connect(t, servers.URL())
	js, err := natsjs.New(nc)
	require.NoError(t, err)
	ctx := context.Background()
	room := make(chan struct{}, 16)
	for range cap(room) {
		room <- struct{}{}
	}
	for _, batch := range []int{1, 10} {
		var ratios, bares []float64
		for round := range 7 {
			bare := rate(64, 2*time.Second, func(i int) {
				if batch == 1 {
					_, err := js.PublishMsg(ctx, &nats.Msg{Subject: "pushes.h", Data: []byte(data200)}, natsjs.WithMsgID(fmt.Sprint(round, ".", i)))
					require.NoError(t, err)
					return
				}
				var msgs []*nats.Msg
				for k := range batch {
					msgs = append(msgs, &nats.Msg{Subject: "pushes.h", Data: []byte(data200), Header: nats.Header{natsjs.MsgIDHeader: {fmt.Sprint("b", round, ".", i, ".", k)}}})
				}
				<-room // a server takes 50 batches at once
				_, err := jetstreamext.PublishMsgBatch(ctx, js, msgs)
				room <- struct{}{}
				require.NoError(t, err)
			})
			events := make([]*wire.Event, batch)
			for k := range events {
				events[k] = &wire.Event{Data: data200}
			}
			ours := rate(64, 2*time.Second, func(int) { require.NoError(t, hub.Push(nil, events...)) })
			bares, ratios = append(bares, bare), append(ratios, ours/bare)
		}
		t.Logf("batches of %d, 64 in flight: bare %s a second; hub against bare %s", batch, spread(bares), spread(ratios))
	}
}

// clock is a sink that tells when bytes came.
type clock struct{ at chan time.Time }

func (c *clock) Write(p []byte) (int, error) {
	select {
	case c.at <- time.Now():
	default:
	}
	return len(p), nil
}
func (c *clock) Close(error) {}

func figuresLatency(t *testing.T, servers *natstest.Cluster) {
	a, _ := realHub(t, servers, "latency")
	b, _ := realHub(t, servers, "latency")
	js, err := natsjs.New(connect(t, servers.URL()))
	require.NoError(t, err)
	ctx := context.Background()
	c, err := js.CreateConsumer(ctx, "latency", natsjs.ConsumerConfig{AckPolicy: natsjs.AckNonePolicy, DeliverPolicy: natsjs.DeliverNewPolicy, MemoryStorage: true, Replicas: 1})
	require.NoError(t, err)
	bareAt := make(chan time.Time, 1)
	cc, err := c.Consume(func(m natsjs.Msg) {
		if m.Subject() == "latency.b" {
			select {
			case bareAt <- time.Now():
			default:
			}
		}
	})
	require.NoError(t, err)
	defer cc.Stop()
	at := &clock{make(chan time.Time, 1)}
	_, err = b.Subscribe(engine.Subscription{Form: engine.FormPlain}, at)
	require.NoError(t, err)
	var bare, ours []float64
	for range 1000 {
		start := time.Now()
		require.NoError(t, a.Push(nil, &wire.Event{Data: data200}))
		ours = append(ours, float64((<-at.at).Sub(start).Microseconds()))
		bare = append(bare, float64((<-bareAt).Sub(start).Microseconds()))
		pause(time.Millisecond)
	}
	t.Logf("microseconds from push at one hub, to a connection of another: %s", spread(ours))
	t.Logf("microseconds from the same push, to a bare consumer: %s", spread(bare))
	var alone []float64
	for range 1000 {
		start := time.Now()
		_, err := js.PublishMsg(ctx, &nats.Msg{Subject: "latency.b", Header: nats.Header{"Spate": {"1"}}, Data: []byte(data200)})
		require.NoError(t, err)
		alone = append(alone, float64((<-bareAt).Sub(start).Microseconds()))
		pause(time.Millisecond)
	}
	t.Logf("microseconds from a bare publish, to a bare consumer: %s", spread(alone))
}

func figuresMove(t *testing.T, servers *natstest.Cluster) {
	a, _ := realHub(t, servers, "moves")
	b, _ := realHub(t, servers, "moves")
	var took []float64
	for range 300 {
		ids, err := a.Publish(context.Background(), nil, &wire.Event{Data: data200})
		require.NoError(t, err)
		start := time.Now()
		seat, err := b.Seat(context.Background(), engine.Subscription{LastEventID: wire.FormatID(ids[0])})
		require.NoError(t, err)
		_, lost := seat.Gap()
		require.False(t, lost)
		took = append(took, float64(time.Since(start).Microseconds()))
	}
	t.Logf("microseconds until a client that had an event at once at one hub is let in at another: %s", spread(took))
}

// counter is a sink that counts frames.
type counter struct{ n *atomic.Int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n.Add(int64(bytes.Count(p, []byte("\n\n"))))
	return len(p), nil
}
func (c *counter) Close(error) {}

// figuresFanout compares what a delivery costs a hub of a cluster, pushes and following
// with it, with what it costs a hub that is alone and does not sync.
func figuresFanout(t *testing.T, servers *natstest.Cluster) {
	const clients, publishers, pushes, batch = 2000, 16, 160, 10
	log, err := pebblelog.Open(t.TempDir(), pebblelog.WithSync(false), pebblelog.WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	alone := engine.NewHub(engine.WithLog(log), engine.WithEnableResendEvents())
	t.Cleanup(alone.Close)
	member, _ := realHub(t, servers, "fanout")
	var got atomic.Int64
	for range clients {
		for _, h := range []*engine.Hub{alone, member} {
			_, err := h.Subscribe(engine.Subscription{Form: engine.FormPlain}, &counter{&got})
			require.NoError(t, err)
		}
	}
	events := make([]*wire.Event, batch)
	for i := range events {
		events[i] = &wire.Event{Data: data200}
	}
	cost := func(h *engine.Hub) float64 {
		runtime.GC()
		before := used()
		want := got.Load() + clients*pushes*batch
		var all sync.WaitGroup
		for range publishers {
			all.Go(func() {
				for range pushes / publishers {
					if err := h.Push(nil, events...); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		eventually(t, func() bool { return got.Load() >= want })
		return float64((used() - before).Nanoseconds()) / (clients * pushes * batch)
	}
	cost(alone) // who is new is let in
	cost(member)
	var alones, members, more []float64
	for range 15 {
		a, m := cost(alone), cost(member)
		alones, members, more = append(alones, a), append(members, m), append(more, (m-a)*clients/1000)
	}
	t.Logf("processor time of a delivery, %d connections that cost nothing themselves: alone %s ns; in a cluster %s ns: microseconds more for each event %s", clients, spread(alones), spread(members), spread(more))
}

func figuresFollow(t *testing.T, servers *natstest.Cluster) {
	const n = 300_000
	s, err := jetstream.Open(within(t, 20*time.Second), connect(t, servers.URL()), jetstream.WithStream("follow"))
	require.NoError(t, err)
	js, err := natsjs.New(connect(t, servers.URL()), natsjs.WithPublishAsyncMaxPending(2000))
	require.NoError(t, err)
	for range n {
		_, err := js.PublishMsgAsync(&nats.Msg{Subject: "follow.b", Header: nats.Header{"Spate": {"1"}}, Data: []byte(data200)}, natsjs.WithStallWait(20*time.Second))
		require.NoError(t, err)
	}
	<-js.PublishAsyncComplete()
	head, err := s.Head(within(t, 20*time.Second))
	require.NoError(t, err)
	var wall, cpu []float64
	for range 3 {
		before, start := used(), time.Now()
		_, node := realHub(t, servers, "follow")
		for node.Position() < head {
			pause(time.Millisecond)
		}
		wall = append(wall, n/time.Since(start).Seconds())
		cpu = append(cpu, n/(used()-before).Seconds())
	}
	t.Logf("events a second that a hub follows, by the clock: %s; by its processor time, NATS servers not counted: %s", spread(wall), spread(cpu))
}

// used is the processor time of this process.
func used() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
