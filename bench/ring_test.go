//go:build linux

package bench_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/spatehub/spate/ringbuf"
)

// ringMessage is what goes from a producer to every reader: a number and the size of a cache line.
type ringMessage struct {
	producer, number int
	fill             [6]uint64
}

// ringSize is the number of messages that wait at most, on both sides.
const ringSize = 4096

// burst is how many messages a producer hands over at once where it can: a ring claims them together, a channel takes
// them one by one.
const burst = 8

// BenchmarkRing: one ring that every reader reads, against a channel for each reader. Every reader on both sides checks
// the number of every message; one op is one message at all readers.
func BenchmarkRing(b *testing.B) {
	for _, producers := range []int{1, 4} {
		for _, readers := range []int{1, 4, 16} {
			shape := fmt.Sprintf("producers=%d/readers=%d", producers, readers)
			b.Run(shape+"/side=ring", func(b *testing.B) { viaRing(b, producers, readers) })
			b.Run(shape+"/side=chan", func(b *testing.B) { viaChannels(b, producers, readers) })
		}
	}
}

// follow checks the order of what one reader gets.
type follow struct {
	b    *testing.B
	next [4]int // by producer
}

func (f *follow) take(m *ringMessage) {
	if m.number != f.next[m.producer] || m.fill[5] != uint64(m.number) {
		f.b.Errorf("got number %d of producer %d, want %d", m.number, m.producer, f.next[m.producer])
	}
	f.next[m.producer]++
}

// exchange runs producers, each of which sends bursts of messages, and readers until all have had everything.
func exchange(b *testing.B, producers, readers int, produce func(producer, bursts int), read func(reader, total int, f *follow)) {
	bursts := (b.N + producers*burst - 1) / (producers * burst)
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for i := range readers {
		wg.Go(func() { read(i, bursts*burst*producers, &follow{b: b}) })
	}
	for p := range producers {
		wg.Go(func() { produce(p, bursts) })
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(bursts*burst*producers*readers), "ns/delivery")
}

func viaRing(b *testing.B, producers, readers int) {
	ctx := context.Background()
	ring := ringbuf.NewRing(ringSize, 0, func(uint64, *ringMessage) {})
	var list []*ringbuf.Reader[ringMessage]
	for range readers {
		list = append(list, ring.NewReader())
	}
	exchange(b, producers, readers, func(producer, bursts int) {
		for n := range bursts {
			first, err := ring.Claim(ctx, burst)
			if err != nil {
				b.Error(err)
				return
			}
			for k := range burst {
				m := ring.Slot(first + uint64(k))
				m.producer, m.number, m.fill[5] = producer, n*burst+k, uint64(n*burst+k)
			}
			ring.Publish(first, burst)
		}
	}, func(reader, total int, f *follow) {
		r := list[reader]
		for got := 0; got < total; {
			from, to, err := r.Next(ctx, 0)
			if err != nil {
				b.Error(err)
				return
			}
			for seq := from; seq != to+1; seq++ {
				f.take(ring.Slot(seq))
				got++
			}
			r.Advance(to)
		}
	})
}

func viaChannels(b *testing.B, producers, readers int) {
	var list []chan ringMessage
	for range readers {
		list = append(list, make(chan ringMessage, ringSize))
	}
	exchange(b, producers, readers, func(producer, bursts int) {
		m := ringMessage{producer: producer}
		for n := range bursts * burst {
			m.number, m.fill[5] = n, uint64(n)
			for _, ch := range list {
				ch <- m
			}
		}
	}, func(reader, total int, f *follow) {
		for range total {
			m := <-list[reader]
			f.take(&m)
		}
	})
}
