package natstest_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/jetstream"
	"github.com/spatehub/spate/cluster/jetstream/natstest"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// follow reads until the page with an event of this data has come.
func follow(t testing.TB, s *jetstream.Stream, after uint64, last string) (all []cluster.Entry, pages []cluster.Page) {
	t.Helper()
	done := errors.New("done")
	err := s.Follow(within(t, 20*time.Second), after, func(p cluster.Page) error {
		all, pages = append(all, p.Entries...), append(pages, p)
		for _, e := range p.Entries {
			if string(e.Event.Data.([]byte)) == last {
				return done
			}
		}
		return nil
	})
	require.ErrorIs(t, err, done)
	return all, pages
}

func events(data ...string) (out []*wire.Event) {
	for _, d := range data {
		out = append(out, &wire.Event{Data: d})
	}
	return out
}

// Hubs that open a stream at once make one; one that differs is refused, with all that
// differs.
func TestOpen(t *testing.T) {
	servers := natstest.Start(t, 1)
	nc := connect(t, servers.URL())
	ctx := within(t, 30*time.Second)
	origins := make([]uint64, 5)
	var opening sync.WaitGroup
	for i := range origins {
		opening.Go(func() {
			s, err := jetstream.Open(ctx, nc, jetstream.WithReplicas(1))
			if err == nil {
				origins[i], err = s.Origin(ctx)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	opening.Wait()
	require.Len(t, slices.Compact(origins), 1)
	require.Greater(t, origins[0], uint64(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()/250))

	js, err := natsjs.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(ctx, natsjs.StreamConfig{Name: "other", Subjects: []string{"other.>"}})
	require.NoError(t, err)
	_, err = jetstream.Open(ctx, nc, jetstream.WithStream("other"), jetstream.WithReplicas(1))
	require.ErrorIs(t, err, jetstream.ErrDiffers)
	for _, part := range []string{"subjects", "deny_delete", "allow_atomic", "spate_base"} {
		require.ErrorContains(t, err, part)
	}
	_, err = jetstream.Open(ctx, nc, jetstream.WithReplicas(3))
	require.ErrorContains(t, err, "replicas is 1, not 3")
	_, err = jetstream.Open(ctx, nc, jetstream.WithStream("a.b"))
	require.ErrorContains(t, err, "no name of a stream")
}

// What is published twice with a token is there once, single events and batches; what
// can't be is refused; ephemeral events reach who follows and nobody later.
func TestPublish(t *testing.T) {
	servers := natstest.Start(t, 1)
	ctx := within(t, 30*time.Second)
	s, err := jetstream.Open(ctx, connect(t, servers.URL()), jetstream.WithReplicas(1), jetstream.WithLogger(logger(t)))
	require.NoError(t, err)
	origin, err := s.Origin(ctx)
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, s.Publish(ctx, "one", events("a")))
		require.NoError(t, s.Publish(ctx, "two", events("b", "c", "d")))
	}
	require.ErrorIs(t, s.Publish(ctx, "large", events(string(make([]byte, 2<<20)))), engine.ErrTooLarge)
	require.ErrorIs(t, s.Publish(ctx, "large", events(string(make([]byte, 2<<20)))), cluster.ErrRefused)
	require.ErrorIs(t, s.Publish(ctx, "many", events(make([]string, 1001)...)), engine.ErrTooMany)
	head, err := s.Head(ctx)
	require.NoError(t, err)
	require.Equal(t, origin+5, head, "four events, and the question itself")
	require.NoError(t, s.Publish(ctx, "three", events("end")))
	all, pages := follow(t, s, origin, "end")
	var got []string
	for _, e := range all {
		got = append(got, fmt.Sprintf("%d %s %s", e.ID-origin, e.Token, e.Event.Data))
	}
	require.Equal(t, []string{"1 one a", "2 two b", "3 two c", "4 two d", "6 three end"}, got)
	require.Equal(t, origin, pages[0].After)

	ready, done := make(chan struct{}), errors.New("done")
	var following sync.WaitGroup
	following.Go(func() {
		err := s.Follow(within(t, 20*time.Second), origin, func(p cluster.Page) error {
			for _, e := range p.Entries {
				switch {
				case e.ID == 0:
					if data := string(e.Event.Data.([]byte)); data != "gone" || e.Event.Users[0] != "u" {
						t.Errorf("got %v", e.Event)
					}
					return done
				case string(e.Event.Data.([]byte)) == "end":
					close(ready)
				}
			}
			return nil
		})
		if !errors.Is(err, done) {
			t.Error(err)
		}
	})
	<-ready
	require.NoError(t, s.Publish(ctx, "", []*wire.Event{{Data: "gone", Ephemeral: true, Users: []string{"u"}}}))
	following.Wait()
}

// What is purged is lost, and said to be: a page begins behind it. What is no event is
// passed over; one of a later format stops the following.
func TestHoles(t *testing.T) {
	servers := natstest.Start(t, 1)
	ctx := within(t, 60*time.Second)
	nc := connect(t, servers.URL())
	s, err := jetstream.Open(ctx, nc, jetstream.WithReplicas(1))
	require.NoError(t, err)
	origin, err := s.Origin(ctx)
	require.NoError(t, err)
	js, err := natsjs.New(nc)
	require.NoError(t, err)
	st, err := js.Stream(ctx, "spate")
	require.NoError(t, err)
	for i := range 10 {
		require.NoError(t, s.Publish(ctx, fmt.Sprint("t", i), []*wire.Event{{Data: fmt.Sprint(i), Topic: fmt.Sprint("topic", i%2)}}))
	}
	require.NoError(t, st.Purge(ctx, natsjs.WithPurgeSequence(4)))
	_, pages := follow(t, s, origin, "9")
	require.Equal(t, origin+3, pages[0].After)
	require.NoError(t, st.Purge(ctx, natsjs.WithPurgeSubject("spate.t.dG9waWMx"))) // topic1
	_, pages = follow(t, s, origin+3, "8")
	var lost []uint64
	at := origin + 3
	for _, p := range pages {
		for id := at + 1; id <= p.After; id++ {
			lost = append(lost, id-origin)
		}
		at = p.UpTo
	}
	require.Subset(t, lost, []uint64{4, 6, 8})

	_, err = js.PublishMsg(ctx, &nats.Msg{Subject: "spate.b", Data: []byte("no event")})
	require.NoError(t, err)
	require.NoError(t, s.Publish(ctx, "x", events("after")))
	all, _ := follow(t, s, origin+10, "after")
	require.Len(t, all, 1)
	_, err = js.PublishMsg(ctx, &nats.Msg{Subject: "spate.b", Header: nats.Header{"Spate": {"2"}}, Data: []byte("x")})
	require.NoError(t, err)
	err = s.Follow(ctx, origin+11, func(cluster.Page) error { return nil })
	require.ErrorContains(t, err, "a newer one is needed")
}

// A stream that is made anew begins above all that hubs have; they tell the gap, and go
// on. A hub that hears nothing is not ready, takes no pushes, and is ready again soon
// after.
func TestNewStreamAndSilence(t *testing.T) {
	w := newWorld(t)
	ctx := within(t, time.Minute)
	ready := func() bool {
		return !slices.ContainsFunc(w.get(), func(h *engine.Hub) bool { return h.Ready() != nil })
	}
	eventually(t, ready)
	ids, err := w.hubs[0].get().Publish(ctx, nil, &wire.Event{Data: "old"})
	require.NoError(t, err)
	w.hubs[1].cut(true)
	eventually(t, func() bool { return w.hubs[1].get().Ready() != nil })
	require.ErrorIs(t, w.hubs[1].get().Push(nil, &wire.Event{Data: "x"}), engine.ErrUnready)
	w.hubs[1].cut(false)
	healed := time.Now()
	eventually(t, ready)
	t.Logf("followed again %v after the partition", time.Since(healed))

	js, err := natsjs.New(connect(t, w.nats.URL()))
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(ctx, "spate"))
	_, err = jetstream.Open(ctx, connect(t, w.nats.URL()))
	require.NoError(t, err)
	var now []uint64
	eventually(t, func() bool {
		now, err = w.hubs[0].get().Publish(within(t, 5*time.Second), nil, &wire.Event{Data: "new"})
		return err == nil
	})
	require.Greater(t, now[0], ids[0])
	for i, h := range w.get() {
		eventually(t, func() bool { return h.LastID() >= now[0] })
		seat, err := h.Seat(ctx, engine.Subscription{LastEventID: wire.FormatID(ids[0])})
		require.NoError(t, err)
		_, lost := seat.Gap()
		require.True(t, lost, "hub %d", i)
	}
}

func jetStream(t testing.TB, url string) natsjs.JetStream {
	js, err := natsjs.New(connect(t, url))
	require.NoError(t, err)
	return js
}

func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); pause(5 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "in vain")
	}
}
