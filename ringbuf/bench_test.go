package ringbuf_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/spatehub/spate/ringbuf"
)

// Each benchmark does one piece of work on both sides: the same payload from
// the same number of producers, one message at a time, to the same number of
// readers through the same number of places. It ends when every reader has
// asserted every message, and both sides report ns per message and reader.

const benchCapacity = 1024

// benchMessage is one line with the slot's own word.
type benchMessage struct {
	producer, n int
	body        [5]uint64
}

// benchReader is what every reader does with every message, on both sides.
type benchReader struct {
	b    *testing.B
	next []int // by producer
}

func (r *benchReader) assert(m *benchMessage) {
	if m.n != r.next[m.producer] || m.body[0] != uint64(m.n) || m.body[4] != ^uint64(m.n) {
		r.b.Errorf("got %+v, want number %d", *m, r.next[m.producer]) // a copy, so that m need not be on the heap
	}
	r.next[m.producer]++
}

func (m *benchMessage) fill(producer, n int) {
	m.producer, m.n = producer, n
	m.body[0], m.body[4] = uint64(n), ^uint64(n)
}

// runBroadcast runs producers and readers and reports the time. read returns
// after all messages.
func runBroadcast(b *testing.B, producers, readers int, produce func(p, each int), read func(i, total int, r *benchReader)) {
	each := (b.N + producers - 1) / producers
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for i := range readers {
		wg.Go(func() {
			r := &benchReader{b: b, next: make([]int, producers)}
			read(i, each*producers, r)
			for p, n := range r.next {
				if n != each {
					b.Errorf("reader %d got %d messages of producer %d, want %d", i, n, p, each)
				}
			}
		})
	}
	for p := range producers {
		wg.Go(func() { produce(p, each) })
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(each*producers*readers), "ns/delivery")
}

func BenchmarkBroadcast(b *testing.B) {
	for _, producers := range []int{1, 4} {
		for _, readers := range []int{1, 4, 16} {
			shape := fmt.Sprintf("producers=%d/readers=%d", producers, readers)
			b.Run(shape+"/side=ring", func(b *testing.B) { broadcastRing(b, producers, readers) })
			b.Run(shape+"/side=chan", func(b *testing.B) { broadcastChan(b, producers, readers) })
		}
	}
}

func broadcastRing(b *testing.B, producers, readers int) {
	ctx := context.Background()
	ring := ringbuf.NewRing(benchCapacity, 0, func(uint64, *benchMessage) {})
	var all []*ringbuf.Reader[benchMessage]
	for range readers {
		all = append(all, ring.NewReader())
	}
	runBroadcast(b, producers, readers, func(p, each int) {
		for n := range each {
			seq, err := ring.Claim(ctx, 1)
			if err != nil {
				b.Error(err)
				return
			}
			ring.Slot(seq).fill(p, n)
			ring.Publish(seq, 1)
		}
	}, func(i, total int, r *benchReader) {
		for got := 0; got < total; {
			from, to, err := all[i].Next(ctx, 0)
			if err != nil {
				b.Error(err)
				return
			}
			for seq := from; seq != to+1; seq++ {
				r.assert(ring.Slot(seq))
			}
			got += int(to - from + 1)
			all[i].Advance(to)
		}
	})
}

func broadcastChan(b *testing.B, producers, readers int) {
	var all []chan benchMessage
	for range readers {
		all = append(all, make(chan benchMessage, benchCapacity))
	}
	runBroadcast(b, producers, readers, func(p, each int) {
		var m benchMessage
		for n := range each {
			m.fill(p, n)
			for _, ch := range all {
				ch <- m
			}
		}
	}, func(i, total int, r *benchReader) {
		for range total {
			m := <-all[i]
			r.assert(&m)
		}
	})
}

// BenchmarkPingPong is the time for one message there and one back, with
// nothing else to do: every hand-over wakes the other side.
func BenchmarkPingPong(b *testing.B) {
	b.Run("side=ring", func(b *testing.B) {
		ctx := context.Background()
		type side struct {
			ring   *ringbuf.Ring[benchMessage]
			reader *ringbuf.Reader[benchMessage]
		}
		var sides [2]side
		for i := range sides {
			sides[i].ring = ringbuf.NewRing(benchCapacity, 0, func(uint64, *benchMessage) {})
			sides[i].reader = sides[i].ring.NewReader()
		}
		send := func(i, n int) {
			seq, _ := sides[i].ring.Claim(ctx, 1)
			sides[i].ring.Slot(seq).fill(0, n)
			sides[i].ring.Publish(seq, 1)
		}
		receive := func(i int, r *benchReader) {
			from, to, _ := sides[i].reader.Next(ctx, 1)
			r.assert(sides[i].ring.Slot(from))
			sides[i].reader.Advance(to)
		}
		runPingPong(b, send, receive)
	})
	b.Run("side=chan", func(b *testing.B) {
		var sides [2]chan benchMessage
		for i := range sides {
			sides[i] = make(chan benchMessage, benchCapacity)
		}
		send := func(i, n int) {
			var m benchMessage
			m.fill(0, n)
			sides[i] <- m
		}
		receive := func(i int, r *benchReader) {
			m := <-sides[i]
			r.assert(&m)
		}
		runPingPong(b, send, receive)
	})
}

func runPingPong(b *testing.B, send func(i, n int), receive func(i int, r *benchReader)) {
	b.ReportAllocs()
	var wg sync.WaitGroup
	wg.Go(func() {
		r := &benchReader{b: b, next: make([]int, 1)}
		for n := range b.N {
			receive(0, r)
			send(1, n)
		}
	})
	r := &benchReader{b: b, next: make([]int, 1)}
	for n := range b.N {
		send(0, n)
		receive(1, r)
	}
	wg.Wait()
}

// BenchmarkQueue is one producer and one consumer that wait for each other:
// the producer, which cannot wait for room in a Queue, yields when it is full,
// and does the same with a full channel.
func BenchmarkQueue(b *testing.B) {
	b.Run("side=queue", func(b *testing.B) {
		ctx := context.Background()
		q := ringbuf.NewQueue[benchMessage](benchCapacity)
		runQueue(b, q.TryPush, func() benchMessage {
			m, _ := q.Pop(ctx)
			return m
		})
	})
	b.Run("side=chan", func(b *testing.B) {
		ch := make(chan benchMessage, benchCapacity)
		runQueue(b, func(m benchMessage) bool {
			select {
			case ch <- m:
				return true
			default:
				return false
			}
		}, func() benchMessage { return <-ch })
	})
}

func runQueue(b *testing.B, tryPush func(benchMessage) bool, pop func() benchMessage) {
	runBroadcast(b, 1, 1, func(p, each int) {
		var m benchMessage
		for n := range each {
			m.fill(p, n)
			for !tryPush(m) {
				runtime.Gosched()
			}
		}
	}, func(_, total int, r *benchReader) {
		for range total {
			m := pop()
			r.assert(&m)
		}
	})
}

// BenchmarkMailbox sends nodes or pointers from four producers to one consumer
// that looks again after others had their turn.
func BenchmarkMailbox(b *testing.B) {
	b.Run("side=mailbox", func(b *testing.B) {
		var m ringbuf.Mailbox[benchMessage]
		runBroadcast(b, 4, 1, func(p, each int) {
			nodes := make([]ringbuf.Node[benchMessage], each)
			for n := range nodes {
				nodes[n].Value.fill(p, n)
				m.Put(&nodes[n])
			}
		}, func(_, total int, r *benchReader) {
			for got := 0; got < total; {
				n := m.Take()
				if n == nil {
					runtime.Gosched()
					continue
				}
				r.assert(&n.Value)
				got++
			}
		})
	})
	b.Run("side=chan", func(b *testing.B) {
		ch := make(chan *benchMessage, benchCapacity)
		runBroadcast(b, 4, 1, func(p, each int) {
			messages := make([]benchMessage, each)
			for n := range messages {
				messages[n].fill(p, n)
				ch <- &messages[n]
			}
		}, func(_, total int, r *benchReader) {
			for range total {
				r.assert(<-ch)
			}
		})
	})
}

// BenchmarkUncontended is one message put and taken by the same goroutine: the
// bare cost of the operations, without waits and without other processors.
func BenchmarkUncontended(b *testing.B) {
	ring := ringbuf.NewRing(benchCapacity, 0, func(uint64, *benchMessage) {})
	reader := ring.NewReader()
	queue := ringbuf.NewQueue[benchMessage](benchCapacity)
	mpmc := ringbuf.NewMPMC[benchMessage](benchCapacity)
	var mailbox ringbuf.Mailbox[benchMessage]
	node := &ringbuf.Node[benchMessage]{}
	ch := make(chan benchMessage, benchCapacity)
	var m benchMessage

	for _, side := range []struct {
		name string
		pass func(n int, r *benchReader)
	}{
		{"ring", func(n int, r *benchReader) {
			seq, _ := ring.TryClaim(1)
			ring.Slot(seq).fill(0, n)
			ring.Publish(seq, 1)
			from, to, _ := reader.TryNext(0)
			r.assert(ring.Slot(from))
			reader.Advance(to)
		}},
		{"queue", func(n int, r *benchReader) {
			m.fill(0, n)
			queue.TryPush(m)
			m, _ = queue.TryPop()
			r.assert(&m)
		}},
		{"mpmc", func(n int, r *benchReader) {
			m.fill(0, n)
			mpmc.TryPush(m)
			m, _ = mpmc.TryPop()
			r.assert(&m)
		}},
		{"mailbox", func(n int, r *benchReader) {
			node.Value.fill(0, n)
			mailbox.Put(node)
			node = mailbox.Take()
			r.assert(&node.Value)
		}},
		{"chan", func(n int, r *benchReader) {
			m.fill(0, n)
			ch <- m
			m = <-ch
			r.assert(&m)
		}},
	} {
		b.Run("side="+side.name, func(b *testing.B) {
			r := &benchReader{b: b, next: make([]int, 1)}
			b.ReportAllocs()
			for n := range b.N {
				side.pass(n, r)
			}
		})
	}
}
