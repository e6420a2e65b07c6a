package ringbuf_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/spatehub/spate/ringbuf"
)

// message says who sent it as which of his messages, and at what sequence.
// The release function sets it to poisoned, so that a reader that looks at a
// released slot, or a producer that gets one that was not, notices.
type message struct {
	producer, n int
	seq         uint64
	number      uint64 // 0: has none
}

var poisoned = message{producer: -1, n: -1}

// topology is what a stress test runs on.
type topology struct {
	capacity  int
	producers int
	readers   [][]int // for each reader the earlier ones it depends on
	wait      ringbuf.WaitStrategy
}

var topologies = map[string]topology{
	"one producer one reader":   {2, 1, [][]int{nil}, ringbuf.WaitStrategy{}},
	"four producers one reader": {8, 4, [][]int{nil}, ringbuf.DefaultWait},
	"independent readers":       {16, 2, [][]int{nil, nil, nil, nil}, ringbuf.WaitStrategy{Yields: 1}},
	"shards behind a journal":   {64, 4, [][]int{nil, {0}, {0}, {0}, {0}}, ringbuf.DefaultWait},
	"chain":                     {4, 2, [][]int{nil, {0}, {1}, {2}}, ringbuf.WaitStrategy{}},
	"diamond":                   {32, 3, [][]int{nil, {0}, {0}, {1, 2}, {0, 3}}, ringbuf.WaitStrategy{Spins: 10}},
}

// stress is one run: producers and readers that take random turns, each
// keeping its own dumb account.
type stress struct {
	t        *testing.T
	ctx      context.Context
	seed     uint64
	start    uint64
	each     int // messages a producer
	topology topology
	numbers  uint64 // before the first
	given    atomic.Uint64
	ring     *ringbuf.Ring[message]
	readers  []*ringbuf.Reader[message]
	released uint64 // last released; by one goroutine at a time, says -race
}

// Every reader gets every producer's messages exactly once and in order, and
// every number given, no
// reader passes its predecessors, what a reader holds is there and unreleased,
// and each slot is released exactly once, in order, before it is used again.
// The runs begin at sequence 0 and before each wrap-around.
func TestRingStress(t *testing.T) {
	seed := newSeed(t)
	for name, top := range topologies {
		for _, start := range starts {
			t.Run(fmt.Sprintf("%s from %d", name, start), func(t *testing.T) {
				s := &stress{t: t, ctx: newDeadline(t), seed: seed, start: start, each: 10000 / top.producers, topology: top}
				s.run()
			})
		}
	}
}

func (s *stress) run() {
	s.released = s.start
	s.numbers = s.start / 3
	s.ring = ringbuf.NewRing(s.topology.capacity, s.start, s.onRelease, ringbuf.WithWait(s.topology.wait), ringbuf.WithNumber(s.numbers))
	for seq := range uint64(s.ring.Cap()) {
		*s.ring.Value(seq) = poisoned
	}
	for _, after := range s.topology.readers {
		var before []*ringbuf.Reader[message]
		for _, i := range after {
			before = append(before, s.readers[i])
		}
		s.readers = append(s.readers, s.ring.NewReader(before...))
	}

	var producers, readers sync.WaitGroup
	for i := range s.readers {
		readers.Go(func() { s.report("reader", i, s.read(i, newRand(s.seed, uint64(i)))) })
	}
	for p := range s.topology.producers {
		producers.Go(func() { s.report("producer", p, s.produce(p, newRand(s.seed, uint64(100+p)))) })
	}
	producers.Wait()
	s.ring.Close()
	readers.Wait()

	end := s.start + uint64(s.each*s.topology.producers)
	if s.ring.Claimed() != end {
		s.t.Errorf("%d sequences claimed, want %d", s.ring.Claimed()-s.start, end-s.start)
	}
	if _, number := s.ring.Last(); number != s.numbers+s.given.Load() {
		s.t.Errorf("the last number is %d, want %d", number, s.numbers+s.given.Load())
	}
	s.ring.ReleaseAll()
	if s.released != end {
		s.t.Errorf("%d slots released, want %d", s.released-s.start, end-s.start)
	}
	if n := s.ring.Sleepers(); n != 0 {
		s.t.Errorf("%d readers counted as parked after the end", n)
	}
}

// report ends the whole run on the first error, so that nobody waits for the
// one who found it.
func (s *stress) report(role string, i int, err error) {
	if err != nil {
		s.t.Errorf("%s %d: %v", role, i, err)
		s.ring.Close()
	}
}

func (s *stress) onRelease(seq uint64, m *message) {
	if s.released++; seq != s.released {
		s.t.Errorf("released %d after %d", seq-s.start, s.released-1-s.start)
	}
	if m.seq != seq || *m == poisoned {
		s.t.Errorf("slot of %d released with %+v", seq-s.start, *m)
	}
	*m = poisoned
}

func (s *stress) produce(p int, rng *rand.Rand) error {
	for sent := 0; sent < s.each; {
		n := 1 + rng.IntN(min(3, s.ring.Cap()/2, s.each-sent))
		numbered := rng.IntN(n + 1)
		first, number, err := s.claim(n, numbered, rng)
		if err != nil {
			return err
		}
		s.given.Add(uint64(numbered))
		for i := range n {
			seq := first + uint64(i)
			m := s.ring.Slot(seq)
			if *m != poisoned {
				return fmt.Errorf("slot of %d claimed before its release: %+v", seq-s.start, *m)
			}
			*m = message{producer: p, n: sent + i, seq: seq}
			if i < numbered {
				m.number = number + uint64(i)
			}
		}
		if rng.IntN(16) == 0 {
			runtime.Gosched() // let others claim and publish in between
		}
		s.ring.Publish(first, n)
		sent += n
	}
	return nil
}

func (s *stress) claim(n, numbered int, rng *rand.Rand) (first, number uint64, err error) {
	if rng.IntN(2) == 0 {
		if first, number, ok := s.ring.TryClaimNumbered(n, numbered); ok {
			return first, number, nil
		}
	}
	return s.ring.ClaimNumbered(s.ctx, n, numbered)
}

// account is what a reader has got: the number of messages of each producer.
type account struct {
	got    []int
	last   uint64
	number uint64
}

func (a *account) add(m message, seq uint64) error {
	if seq != a.last+1 || m.seq != seq {
		return fmt.Errorf("read %d after %d: %+v", seq, a.last, m)
	}
	if m.n != a.got[m.producer] {
		return fmt.Errorf("read %+v as number %d of this producer", m, a.got[m.producer])
	}
	if m.number != 0 {
		if a.number++; m.number != a.number {
			return fmt.Errorf("read %+v, want number %d: each once, in the order of the sequences", m, a.number)
		}
	}
	a.last = seq
	a.got[m.producer]++
	return nil
}

func (s *stress) read(i int, rng *rand.Rand) error {
	rd, a := s.readers[i], account{got: make([]int, s.topology.producers), last: s.start, number: s.numbers}
	for {
		limit := 1 + rng.IntN(s.ring.Cap())
		from, to, ok := rd.TryNext(limit)
		if !ok {
			var err error
			if from, to, err = rd.Next(s.ctx, limit); err == ringbuf.ErrClosed {
				return s.complete(a)
			} else if err != nil {
				return err
			}
		}
		if to-from >= uint64(limit) {
			return fmt.Errorf("got %d..%d with a limit of %d", from, to, limit)
		}
		for _, before := range s.topology.readers[i] {
			if c := s.readers[before].Cursor(); int64(to-c) > 0 {
				return fmt.Errorf("read up to %d, past reader %d at %d", to, before, c)
			}
		}
		to -= uint64(rng.IntN(int(to-from) + 1)) // process some
		for seq := from; seq != to+1; seq++ {
			if err := a.add(*s.ring.Slot(seq), seq); err != nil {
				return err
			}
		}
		rd.Advance(to)
		s.changeHold(rd, rng)
		for seq := rd.Held(); seq != to+1; seq++ {
			if m := *s.ring.Slot(seq); m.seq != seq || m == poisoned {
				return fmt.Errorf("held slot of %d was released: %+v", seq, m)
			}
		}
	}
}

// changeHold now and then moves the hold by hand or changes the window, which
// leaves at least half of the ring to claim from.
func (s *stress) changeHold(rd *ringbuf.Reader[message], rng *rand.Rand) {
	switch rng.IntN(8) {
	case 0:
		rd.SetWindow(rng.IntN(s.ring.Cap()/2 + 1))
	case 1:
		rd.Hold(rd.Held() + uint64(rng.IntN(4)))
	}
}

func (s *stress) complete(a account) error {
	for p, n := range a.got {
		if n != s.each {
			return fmt.Errorf("got %d messages of producer %d, want %d", n, p, s.each)
		}
	}
	return nil
}

// A batch that is published at once is seen as a whole or not at all.
func TestRingBatchIsSeenWhole(t *testing.T) {
	const batch, batches = 4, 20000
	ctx := newDeadline(t)
	r := ringbuf.NewRing[uint64](64, 0, nil)
	rd := r.NewReader()
	done := go1(func() error {
		for range batches {
			first, err := r.Claim(ctx, batch)
			if err != nil {
				return err
			}
			r.Publish(first, batch)
		}
		return nil
	})
	for to := uint64(0); to < batch*batches; {
		var ok bool
		if _, to, ok = rd.TryNext(0); !ok {
			runtime.Gosched()
			continue
		}
		if to%batch != 0 {
			t.Fatalf("read up to %d, in the midst of a batch", to)
		}
		rd.Advance(to)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
