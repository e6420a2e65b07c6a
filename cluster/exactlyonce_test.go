package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/clustertest"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// storm is what a run of TestExactlyOnce may do.
type storm struct {
	failures clustertest.Failures
	cut      bool // nodes are cut off, hubs crash and lose the end of their logs, disks fail
	lossy    bool // the stream is purged and made anew
	then     cluster.Silence
}

// Invariants 2, 3, 4, 6 and 13 hold in a cluster: publishers at all hubs, clients that
// move between them, and whatever may fail does. No acknowledged event is lost, none
// is there twice, nobody gets what is not for him, and a gap is told only where the
// stream itself has lost something.
func TestExactlyOnce(t *testing.T) {
	bad := clustertest.Failures{LostRequest: 50, LostAnswer: 50, Late: 50, Repeat: 100, Break: 5, Slow: 3 * time.Millisecond}
	for name, st := range map[string]storm{
		"calm":              {},
		"bad network":       {failures: bad},
		"crashes, keep":     {failures: bad, cut: true, then: cluster.KeepStreams},
		"crashes, end":      {failures: bad, cut: true, then: cluster.EndStreams},
		"purges, new ones":  {failures: clustertest.Failures{Repeat: 100, Break: 5}, lossy: true},
		"all of it at once": {failures: bad, cut: true, lossy: true, then: cluster.EndStreams},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events, clients := 60, 12
			if torture, _ := strconv.Atoi(os.Getenv("SPATE_CLUSTER_EVENTS")); torture > 0 {
				events, clients = torture, 60
			}
			newWorld(t, seed(t), st).run(events, clients)
		})
	}
}

// world is a run of the test.
type world struct {
	t       *testing.T
	seed    uint64
	st      storm
	fake    *clustertest.Fake
	servers []*server
	moves   atomic.Int64

	mu    sync.Mutex
	acked map[string]uint64 // data to ID
	tried map[string]bool
}

func newWorld(t *testing.T, n uint64, st storm) *world {
	w := &world{t: t, seed: n, st: st, fake: clustertest.NewFake(n, 1_000_000), acked: map[string]uint64{}, tried: map[string]bool{}}
	for range 3 {
		s := &server{log: newReplica(), port: w.fake.Port(st.failures)}
		s.start(t, st.then)
		w.servers = append(w.servers, s)
	}
	t.Cleanup(func() {
		for _, s := range w.servers {
			s.hub.Close()
			s.port.Wait()
		}
	})
	return w
}

func (w *world) rng(n int) *rand.Rand { return rand.New(rand.NewPCG(w.seed, uint64(n))) }

func (w *world) run(perPublisher, clients int) {
	for _, s := range w.servers {
		eventually(w.t, "a hub is ready", func() bool { return s.hub.Ready() == nil })
	}
	var publishing, roaming, failing sync.WaitGroup
	for p := range 4 {
		publishing.Go(func() { w.publisher(p, perPublisher, clients) })
	}
	roamers := make([]*roamer, clients)
	for i := range roamers {
		roamers[i] = &roamer{w: w, user: fmt.Sprint("u", i/2), topics: []string{"a", "b"}[:i%3], last: 1_000_000, rng: w.rng(100 + i)}
		roaming.Go(roamers[i].roam)
	}
	calm := make(chan struct{})
	failing.Go(func() { w.fail(calm) })
	publishing.Wait()
	close(calm)
	failing.Wait()
	w.end()
	roaming.Wait()
	w.verify(roamers)
}

// publisher pushes at all hubs, and tries another one where one is not ready.
func (w *world) publisher(p, n, clients int) {
	rng := w.rng(p)
	for i := range n {
		var uids []string
		if rng.IntN(4) == 0 {
			uids = []string{fmt.Sprint("u", rng.IntN(clients/2))}
			if rng.IntN(2) == 0 {
				uids = append(uids, "nobody")
			}
		}
		var events []*wire.Event
		for k := range 1 + rng.IntN(4)/3*rng.IntN(3) {
			e := &wire.Event{Data: fmt.Sprintf("%d.%d.%d", p, i, k), Topic: []string{"", "", "a", "b"}[rng.IntN(4)]}
			if rng.IntN(2) == 0 {
				e.Data = json.RawMessage(`"` + e.Data.(string) + `"`)
			}
			events = append(events, e)
		}
		w.push(rng, uids, events)
		if rng.IntN(10) == 0 {
			pause(time.Duration(rng.IntN(20)) * time.Millisecond)
		}
	}
}

func text(data any) string {
	switch d := data.(type) {
	case []byte:
		return strings.Trim(string(d), `"`)
	case json.RawMessage:
		return strings.Trim(string(d), `"`)
	}
	return strings.Trim(data.(string), `"`)
}

func (w *world) push(rng *rand.Rand, uids []string, events []*wire.Event) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		ids, err := w.servers[rng.IntN(3)].get().Publish(ctx, uids, events...)
		cancel()
		if errors.Is(err, engine.ErrUnready) {
			pause(time.Millisecond)
			continue
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, e := range events {
			w.tried[text(e.Data)] = true
			if err == nil {
				w.acked[text(e.Data)] = ids[i]
			}
		}
		return
	}
}

// fail breaks one thing after the other, and mends all in the end.
func (w *world) fail(calm chan struct{}) {
	rng := w.rng(50)
	for {
		select {
		case <-calm:
			return
		case <-time.After(time.Duration(rng.IntN(30)) * time.Millisecond):
		}
		s := w.servers[rng.IntN(3)]
		switch what := rng.IntN(5); {
		case what == 0 && w.st.cut:
			s.port.Cut(true)
			pause(time.Duration(rng.IntN(600)) * time.Millisecond)
			s.port.Cut(false)
		case what == 1 && w.st.cut:
			s.log.set(errors.New("disk is full"))
			pause(time.Duration(rng.IntN(100)) * time.Millisecond)
			s.log.set(nil)
		case what == 2 && w.st.cut:
			s.get().Close()
			s.mu.Lock()
			s.log = s.log.cut(w.t, rng.IntN(20))
			s.start(w.t, w.st.then)
			s.mu.Unlock()
		case what == 3 && w.st.lossy && rng.IntN(4) == 0:
			w.fake.Purge(rng.IntN(30))
		case what == 4 && w.st.lossy && rng.IntN(10) == 0:
			w.fake.Recreate(uint64(1 + rng.IntN(100)))
		}
	}
}

const endOf = "the end"

// end pushes the last event once all nodes are well.
func (w *world) end() {
	for _, s := range w.servers {
		s.port.SetFailures(clustertest.Failures{})
		s.port.Wait()
	}
	for _, s := range w.servers {
		eventually(w.t, "a hub is ready again", func() bool { return s.hub.Ready() == nil })
	}
	w.push(w.rng(60), nil, []*wire.Event{{Data: endOf}})
	require.NotZero(w.t, w.acked[endOf])
}

// roamer is a client that moves.
type roamer struct {
	w      *world
	user   string
	topics []string
	rng    *rand.Rand
	last   uint64
	got    []wire.Event
	gaps   []engine.Gap
	done   bool
}

func (r *roamer) roam() {
	for !r.done {
		hub := r.w.servers[r.rng.IntN(3)].get()
		s := &sink{closed: make(chan struct{})}
		sub, err := hub.Subscribe(engine.Subscription{UID: r.user, Topics: r.topics, LastEventID: wire.FormatID(r.last), Form: engine.FormPlain}, s)
		if err != nil {
			pause(time.Millisecond)
			continue
		}
		r.w.moves.Add(1)
		for until := time.Now().Add(time.Duration(r.rng.IntN(60)) * time.Millisecond); !r.done && time.Now().Before(until); {
			r.read(s)
			select {
			case <-s.closed:
				until = time.Now()
			case <-time.After(time.Millisecond):
			}
		}
		sub.Hangup(nil)
		<-s.closed
		r.read(s)
	}
}

func (r *roamer) read(s *sink) {
	for _, e := range s.take() {
		switch e.Event {
		case engine.GapEvent:
			var g engine.Gap
			if err := json.Unmarshal([]byte(e.Data.(string)), &g); err != nil {
				r.w.t.Error(err)
			}
			r.gaps = append(r.gaps, g)
			continue
		case engine.DisconnectEvent:
			continue
		}
		id, err := wire.ParseID(e.ID)
		if err != nil || id <= r.last {
			r.w.t.Errorf("%s got %v after %d", r.user, e, r.last)
		}
		r.last = id
		r.got = append(r.got, e)
		r.done = r.done || text(e.Data) == endOf
	}
}

// verify compares what everybody has with what was committed.
func (w *world) verify(roamers []*roamer) {
	t := w.t
	all := w.fake.Committed()
	byData := map[string]uint64{}
	for _, e := range all {
		if was := byData[text(e.Event.Data)]; was != 0 {
			// Tokens go with their stream.
			require.NotEqual(t, w.fake.Stream(was), w.fake.Stream(e.ID), "%v is there twice", e.Event.Data)
			if w.acked[text(e.Event.Data)] == was {
				continue
			}
		}
		byData[text(e.Event.Data)] = e.ID
		require.True(t, w.tried[text(e.Event.Data)] || e.Event.Data == endOf, "%v", e.Event.Data)
	}
	for data, id := range w.acked {
		require.Equal(t, byData[data], id, "%s, which was acknowledged", data)
	}
	gaps := 0
	for _, r := range roamers {
		want := map[uint64]string{}
		for _, e := range all {
			if e.Event.Users != nil && !slices.Contains(e.Event.Users, r.user) || e.Event.Topic != "" && !slices.Contains(r.topics, e.Event.Topic) {
				continue
			}
			want[e.ID] = text(e.Event.Data)
		}
		for _, e := range r.got {
			id, _ := wire.ParseID(e.ID)
			require.Equal(t, want[id], text(e.Data), "%s got what is not for it, or otherwise than it was committed", r.user)
			delete(want, id)
		}
		for id, data := range want {
			in := slices.ContainsFunc(r.gaps, func(g engine.Gap) bool { return between(t, g, id) })
			require.True(t, in, "%s misses %d (%s) and was not told; gaps %v", r.user, id, data, r.gaps)
		}
		gaps += len(r.gaps)
	}
	if !w.st.lossy {
		require.Zero(t, gaps, "nothing is missing")
	}
	t.Logf("%d events, %d acknowledged pushes' events, %d moves, %d gaps", len(all), len(w.acked), w.moves.Load(), gaps)
}

func between(t *testing.T, g engine.Gap, id uint64) bool {
	from, err := wire.ParseID(g.From)
	require.NoError(t, err)
	to, err := wire.ParseID(g.To)
	require.NoError(t, err)
	return from < id && id <= to
}
