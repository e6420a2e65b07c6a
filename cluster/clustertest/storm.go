package clustertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// Storm is a test of a cluster: publishers at all hubs, clients that move between them
// with the ID that they have, and whatever Fail does meanwhile. What everybody has in
// the end is compared with what was committed:
//
//   - what was acknowledged was committed once, with the ID that was told;
//   - a client gets each event that is for it once, in order, or a gap that says it is
//     missing;
//   - nobody gets anything else.
type Storm struct {
	T          testing.TB
	Seed       uint64
	Hubs       func() []*engine.Hub // those of the moment
	Start      uint64               // clients begin after this ID
	Publishers int
	Pushes     int // of each publisher
	Clients    int
	Fail       func(rng *rand.Rand, calm <-chan struct{}) // breaks things until calm
	Mend       func()                                     // mends all of them
	Committed  func() []cluster.Entry                     // in order; called in the end
	Lossy      bool                                       // gaps may be told, ...
	Stream     func(id uint64) int                        // ... and tokens be forgotten, from one stream to the next; nil: there is one

	mu    sync.Mutex
	acked map[string]uint64 // data to ID
	tried map[string]bool
	moves atomic.Int64
	sent  atomic.Int64 // deliveries
}

// Run runs the test.
func (w *Storm) Run() {
	w.acked, w.tried = map[string]uint64{}, map[string]bool{}
	w.ready()
	var publishing, roaming, failing sync.WaitGroup
	for p := range w.Publishers {
		publishing.Go(func() { w.publisher(p) })
	}
	roamers := make([]*roamer, w.Clients)
	for i := range roamers {
		roamers[i] = &roamer{w: w, user: fmt.Sprint("u", i/2), topics: []string{"a", "b"}[:i%3], last: w.Start, rng: w.rng(100 + i)}
		roaming.Go(roamers[i].roam)
	}
	calm := make(chan struct{})
	failing.Go(func() { w.Fail(w.rng(50), calm) })
	publishing.Wait()
	close(calm)
	failing.Wait()
	w.Mend()
	w.ready()
	w.push(w.rng(60), nil, []*wire.Event{{Data: endOf}})
	if w.acked[endOf] == 0 {
		w.T.Fatalf("the last event was not acknowledged")
	}
	roaming.Wait()
	w.verify(roamers)
}

func (w *Storm) rng(n int) *rand.Rand { return rand.New(rand.NewPCG(w.Seed, uint64(n))) }

// ready waits until all hubs are.
func (w *Storm) ready() {
	for end := time.Now().Add(time.Minute); ; pause(time.Millisecond) {
		var err error
		for i, h := range w.Hubs() {
			if why := h.Ready(); why != nil {
				err = fmt.Errorf("hub %d: %w", i, why)
			}
		}
		if err == nil {
			return
		}
		if time.Now().After(end) {
			w.T.Fatalf("not all hubs are ready: %v", err)
		}
	}
}

// pause lets others run for a while; nothing depends on how long.
func pause(d time.Duration) { <-time.After(d) }

// endOf is the data of the last event.
const endOf = "the end"

// publisher pushes at all hubs, and tries another one where one is not ready.
func (w *Storm) publisher(p int) {
	rng := w.rng(p)
	for i := range w.Pushes {
		var uids []string
		if rng.IntN(4) == 0 {
			uids = []string{fmt.Sprint("u", rng.IntN((w.Clients+1)/2))}
			if rng.IntN(2) == 0 {
				uids = append(uids, "nobody, 100 % sure")
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

func (w *Storm) push(rng *rand.Rand, uids []string, events []*wire.Event) {
	for {
		hubs := w.Hubs()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		ids, err := hubs[rng.IntN(len(hubs))].Publish(ctx, uids, events...)
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

// roamer is a client that moves.
type roamer struct {
	w      *Storm
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
		hubs := r.w.Hubs()
		s := &sink{closed: make(chan struct{})}
		sub, err := hubs[r.rng.IntN(len(hubs))].Subscribe(engine.Subscription{UID: r.user, Topics: r.topics, LastEventID: wire.FormatID(r.last), Form: engine.FormPlain}, s)
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
				r.w.T.Error(err)
			}
			if n := len(r.gaps); n == 0 || r.gaps[n-1] != g {
				r.gaps = append(r.gaps, g)
			}
			continue
		case engine.DisconnectEvent:
			continue
		}
		id, err := wire.ParseID(e.ID)
		if err != nil || id <= r.last {
			r.w.T.Errorf("%s got %v after %d", r.user, e, r.last)
		}
		r.last = id
		r.got = append(r.got, e)
		r.w.sent.Add(1)
		r.done = r.done || text(e.Data) == endOf
	}
}

// verify compares what everybody has with what was committed.
func (w *Storm) verify(roamers []*roamer) {
	all := w.Committed()
	byData := map[string]uint64{}
	for _, e := range all {
		data := text(e.Event.Data)
		if was := byData[data]; was != 0 {
			if w.Stream == nil || w.Stream(was) == w.Stream(e.ID) {
				w.T.Errorf("%s is there twice: %d, %d", data, was, e.ID)
			}
			if w.acked[data] == was {
				continue
			}
		}
		byData[data] = e.ID
		if !w.tried[data] {
			w.T.Errorf("%d: nobody pushed %s", e.ID, data)
		}
	}
	for data, id := range w.acked {
		if byData[data] != id {
			w.T.Errorf("%s was acknowledged as %d, and is %d (0: lost)", data, id, byData[data])
		}
	}
	gaps := 0
	for i, r := range roamers {
		r.verify(i, all)
		gaps += len(r.gaps)
	}
	if !w.Lossy && gaps > 0 {
		w.T.Errorf("%d gaps were told, and nothing is missing", gaps)
	}
	w.T.Logf("%d events, %d acknowledged; %d clients, %d deliveries, %d moves, %d gaps", len(all), len(w.acked), len(roamers), w.sent.Load(), w.moves.Load(), gaps)
}

func (r *roamer) verify(i int, all []cluster.Entry) {
	want := map[uint64]string{}
	for _, e := range all {
		if e.Event.Users != nil && !slices.Contains(e.Event.Users, r.user) || e.Event.Topic != "" && !slices.Contains(r.topics, e.Event.Topic) {
			continue
		}
		want[e.ID] = text(e.Event.Data)
	}
	for _, e := range r.got {
		id, _ := wire.ParseID(e.ID)
		if data, is := want[id]; !is || data != text(e.Data) {
			r.w.T.Errorf("client %d got %s as %d, which is not for it or is otherwise", i, e.Data, id)
		}
		delete(want, id)
	}
	for id, data := range want {
		if !slices.ContainsFunc(r.gaps, func(g engine.Gap) bool { return between(g, id) }) {
			r.w.T.Errorf("client %d misses %d (%s) and was not told; gaps %v", i, id, data, r.gaps)
		}
	}
}

func between(g engine.Gap, id uint64) bool {
	from, _ := wire.ParseID(g.From)
	to, err := wire.ParseID(g.To)
	return err == nil && from < id && id <= to
}

// sink reads the stream of one connection.
type sink struct {
	mu     sync.Mutex
	parser wire.Parser
	got    []wire.Event
	closed chan struct{}
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.parser.Feed(p, func(e wire.RawEvent) error {
		s.got = append(s.got, wire.Event{ID: string(e.ID), Event: string(e.Event), Data: string(e.Data)})
		return nil
	})
	return len(p), err
}

func (s *sink) Close(error) { close(s.closed) }

func (s *sink) take() []wire.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}
