package engine_test

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// countSink takes everything and keeps nothing.
type countSink struct{ bytes int }

func (s *countSink) Write(p []byte) (int, error) { s.bytes += len(p); return len(p), nil }
func (s *countSink) Close(error)                 {}

// keptWrites is a BatchWriter that allocates nothing.
type keptWrites struct {
	sinks [engine.MaxBatchWrites]engine.Sink
	bytes [engine.MaxBatchWrites][]byte
	n     int
}

func newKeptWrites() (engine.BatchWriter, error) { return &keptWrites{}, nil }

func (w *keptWrites) Add(s engine.Sink, p []byte) bool {
	w.sinks[w.n], w.bytes[w.n] = s, p
	w.n++
	return true
}

func (w *keptWrites) Flush(done func(i, n int, err error)) error {
	for i := range w.n {
		n, err := w.sinks[i].Write(w.bytes[i])
		done(i, n, err)
	}
	w.n = 0
	return nil
}

func (*keptWrites) Close() {}

// joinCounting subscribes n connections, of each form in turn.
func joinCounting(t testing.TB, h *engine.Hub, n int, sub engine.Subscription) {
	for i := range n {
		sub.Form = engine.Form(i % 2)
		if len(h.Encodings()) > 0 {
			anyForm(&sub, i)
		}
		_, err := h.Subscribe(sub, &countSink{})
		require.NoError(t, err)
	}
	settled(h)
}

// pushAllocs returns the allocations of one push and its deliveries, the
// shards' included.
func pushAllocs(t *testing.T, h *engine.Hub, uids []string, e *wire.Event) float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties the pools
	// As AllocsPerRun measures: publishers then run ahead of the shards as far
	// as the ring goes, which takes more buffers.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range 10_000 {
		require.NoError(t, h.Push(uids, e))
	}
	return testing.AllocsPerRun(2000, func() {
		if err := h.Push(uids, e); err != nil {
			t.Fatal(err)
		}
	})
}

// Neither a push of text nor its deliveries allocate, whether to everyone or
// to one user, and whoever listens. With a log, the log's own remain.
func TestPushAndDeliveryDoNotAllocate(t *testing.T) {
	if testrace.On {
		t.Skip("the race detector makes sync.Pool forget at random")
	}
	text := message("hello, world")
	topic := &wire.Event{Event: "message", Data: "hello", Topic: "t"}
	long := message(strings.Repeat("hello, world", 40))
	for _, c := range []struct {
		name    string
		opts    []engine.HubOption
		clients int
		uids    []string
		event   *wire.Event
		most    float64
	}{
		{"everyone, 100, patient", []engine.HubOption{engine.WithPatience(time.Millisecond)}, 100, nil, text, 0},
		{"topic, 100, patient", []engine.HubOption{engine.WithPatience(time.Millisecond)}, 100, nil, topic, 0},
		{"topic, 100, patient, batches", []engine.HubOption{engine.WithPatience(time.Millisecond), engine.WithBatchWriter(newKeptWrites)}, 100, nil, topic, 0},
		{"everyone, nobody", nil, 0, nil, text, 0},
		{"everyone, 100", nil, 100, nil, text, 0},
		{"everyone, 10000", nil, 10_000, nil, text, 0},
		{"topic, 100", nil, 100, nil, topic, 0},
		{"everyone, 100, batches", []engine.HubOption{engine.WithBatchWriter(newKeptWrites)}, 100, nil, text, 0},
		{"topic, 100, batches", []engine.HubOption{engine.WithBatchWriter(newKeptWrites)}, 100, nil, topic, 0},
		{"user, nobody", nil, 0, []string{"u"}, text, 0},
		{"user, 100", nil, 100, []string{"u"}, text, 0},
		{"immediate, 100", []engine.HubOption{engine.WithLog(nullLog()), engine.WithImmediateDelivery()}, 100, nil, text, 0},
		{"coded, everyone", []engine.HubOption{withCodings()}, 100, nil, long, 0},
		{"coded, user", []engine.HubOption{withCodings()}, 100, []string{"u"}, long, 0},
		{"log, nobody", []engine.HubOption{engine.WithLog(nullLog())}, 0, nil, text, 0},
		{"log, 100", []engine.HubOption{engine.WithLog(nullLog())}, 100, nil, text, 0},
		{"log, user", []engine.HubOption{engine.WithLog(nullLog())}, 100, []string{"u"}, text, 0},
		// persist.Memory copies the batch: frame and record, and its own books.
		{"memory log, 100", []engine.HubOption{engine.WithLog(persist.NewMemory())}, 100, nil, text, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHub(t, append([]engine.HubOption{engine.WithBatchWriter(nil), engine.WithHeartbeat(-1)}, c.opts...)...)
			joinCounting(t, h, c.clients, engine.Subscription{UID: "u", Topics: []string{"t"}, Patient: true}) // where the hub is
			got := pushAllocs(t, h, c.uids, c.event)
			t.Logf("%.2f allocations", got)
			require.LessOrEqual(t, got, c.most)
		})
	}
}

// No goroutine belongs to a connection, idle or busy.
func TestNoGoroutinePerConnection(t *testing.T) {
	h := newHub(t)
	joinCounting(t, h, 1, engine.Subscription{})
	before := runtime.NumGoroutine()
	joinCounting(t, h, 20_000, engine.Subscription{UID: "u", Topics: []string{"t"}})
	for range 100 {
		require.NoError(t, h.Push(nil, message("x")))
	}
	settled(h)
	require.LessOrEqual(t, runtime.NumGoroutine(), before+2*runtime.GOMAXPROCS(0)+2)
}

// Invariant 8: no mutex is waited for on the way from Push to the sinks. The
// profile of a broadcast run, with everything else at work that the hub does
// then, names none of our packages.
func TestNoMutexOnTheWay(t *testing.T) {
	old := runtime.SetMutexProfileFraction(1)
	defer runtime.SetMutexProfileFraction(old)
	before := mutexFrames(t)
	h := newHub(t, engine.WithShards(8), engine.WithChanBufferSize(1024))
	joinCounting(t, h, 500, engine.Subscription{Topics: []string{"t"}})
	joinCounting(t, h, 500, engine.Subscription{UID: "u"})
	var wg sync.WaitGroup
	for p := range 8 {
		wg.Go(func() {
			for i := range 1500 {
				var uids []string
				e := message("some text")
				switch (i + p) % 3 {
				case 1:
					uids = []string{"u"}
				case 2:
					e.Topic = "t"
				}
				if err := h.Push(uids, e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	settled(h)
	for frames, n := range mutexFrames(t) {
		if n > before[frames] {
			require.NotContains(t, frames, "spate/engine.", "a mutex was waited for")
			require.NotContains(t, frames, "spate/ringbuf.", "a mutex was waited for")
			require.NotContains(t, frames, "spate/wire.", "a mutex was waited for")
		}
	}
}

// mutexFrames returns the stacks of the mutex profile, and how often each was
// waited for. Locks inside of the runtime are no mutexes, and left out.
func mutexFrames(t *testing.T) map[string]int64 {
	var records []runtime.BlockProfileRecord
	for n := 100; ; n *= 2 {
		records = make([]runtime.BlockProfileRecord, n)
		got, ok := runtime.MutexProfile(records)
		if ok {
			records = records[:got]
			break
		}
	}
	out := map[string]int64{}
	for i := range records {
		var stack strings.Builder
		frames := runtime.CallersFrames(records[i].Stack())
		leaf := ""
		for {
			f, more := frames.Next()
			if leaf == "" {
				leaf = f.Function
			}
			fmt.Fprintln(&stack, f.Function)
			if !more {
				break
			}
		}
		if strings.Contains(stack.String(), "sync.(*Pool).pinSlow") {
			continue // a pool's first use on a processor after a collection
		}
		if strings.HasPrefix(leaf, "sync.") || strings.HasPrefix(leaf, "internal/sync.") {
			out[stack.String()] += records[i].Count
		}
	}
	return out
}

// The guard above would see a mutex.
func TestMutexProfileSeesMutexes(t *testing.T) {
	old := runtime.SetMutexProfileFraction(1)
	defer runtime.SetMutexProfileFraction(old)
	var mu sync.Mutex
	for range 50 {
		mu.Lock()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				mu.Lock()
				defer mu.Unlock()
			})
		}
		runtime.Gosched()
		mu.Unlock()
		wg.Wait()
	}
	found := false
	for frames := range mutexFrames(t) {
		found = found || strings.Contains(frames, "TestMutexProfileSeesMutexes")
	}
	var buf bytes.Buffer
	require.NoError(t, pprof.Lookup("mutex").WriteTo(&buf, 1))
	require.True(t, found, buf.String())
}

// Under fire of everything, with buffers that are spoilt when they are
// released (build tag spatecheck), no stream shows a spoilt byte, and every
// buffer is back after Close.
func TestEveryBufferReturns(t *testing.T) {
	for _, history := range histories {
		t.Run(history.name, func(t *testing.T) {
			h := engine.NewHub(append(history.opts(), withCodings(), engine.WithLogger(testLogger(t)), engine.WithChanBufferSize(64),
				engine.WithShards(3), engine.WithDrainTimeout(50*time.Millisecond), engine.WithEnableResendEvents())...)
			if _, counted := engine.Lent(h); !counted {
				t.Log("counted only with -tags spatecheck")
			}
			var sinks []*memSink
			for i := range 12 {
				sub := engine.Subscription{UID: fmt.Sprint("u", i%5), Conflate: i%4 == 0, Policy: engine.Policy(i % 5)}
				anyForm(&sub, i/2)
				sinks = append(sinks, join(t, h, sub, []int{-1, 0, 700}[i%3]))
			}
			var wg sync.WaitGroup
			for p := range 4 {
				wg.Go(func() {
					for i := range 500 {
						e := &wire.Event{Event: "message", Data: strings.Repeat("abc", i%40), Key: fmt.Sprint(i % 7), Ephemeral: i%9 == 0}
						var uids []string
						if i%2 == 0 {
							uids = []string{fmt.Sprint("u", i%6)}
						}
						if err := h.Push(uids, e); err != nil {
							t.Error(err)
						}
						if s := sinks[(i+p)%len(sinks)]; i%10 == 0 {
							s.allow(400)
						}
					}
				})
			}
			wg.Wait()
			refused, bad := h.Push(nil, message(strings.Repeat("x", 2<<20))), h.Push(nil, message("a\xff"))
			require.ErrorIs(t, refused, engine.ErrTooLarge)
			require.Error(t, bad)
			settled(h)
			for _, s := range sinks[:6] {
				s.allow(-1)
			}
			settled(h)
			h.Close()
			for _, s := range sinks {
				for _, e := range s.events(t) {
					switch e.Event {
					case engine.GapEvent:
						gapOf(t, e)
						continue
					case engine.DisconnectEvent:
						reasonTold(t, s)
						continue
					}
					require.Empty(t, strings.ReplaceAll(e.Data.(string), "abc", ""))
				}
				require.NotContains(t, string(s.body(t, s.buf)), "\xDB")
			}
			require.Zero(t, engine.HeldBytes(h))
			if n, counted := engine.Lent(h); counted {
				require.Zero(t, n)
			}
		})
	}
}
