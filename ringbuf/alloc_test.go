package ringbuf_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/ringbuf"
)

// Nothing is allocated per value, in the forms that may wait included: where
// they do wait, only a producer that parks for room allocates.
func TestNoAllocs(t *testing.T) {
	ctx := context.Background()
	ring := ringbuf.NewRing[[8]uint64](64, 0, nil)
	journal := ring.NewReader()
	shard := ring.NewReader(journal)
	shard.SetWindow(16)
	queue := ringbuf.NewQueue[[]byte](8)
	mpmc := ringbuf.NewMPMC[*int](8)
	var mailbox ringbuf.Mailbox[int]
	node, frame, number := &ringbuf.Node[int]{}, []byte("frame"), new(int)

	for name, f := range map[string]func(){
		"Ring try": func() {
			first, _ := ring.TryClaim(2)
			ring.Slot(first)[0] = first
			ring.Publish(first, 2)
			for _, rd := range []*ringbuf.Reader[[8]uint64]{journal, shard} {
				_, to, _ := rd.TryNext(0)
				rd.Hold(rd.Held() + 1)
				rd.Advance(to)
			}
		},
		"Ring blocking": func() {
			first, _ := ring.Claim(ctx, 1)
			ring.Publish(first, 1)
			for _, rd := range []*ringbuf.Reader[[8]uint64]{journal, shard} {
				_, to, _ := rd.Next(ctx, 0)
				rd.Advance(to)
			}
		},
		"Queue": func() {
			queue.TryPush(frame)
			queue.TryPush(frame)
			queue.TryPop()
			_, _ = queue.Pop(ctx)
		},
		"MPMC": func() {
			mpmc.TryPush(number)
			mpmc.TryPop()
		},
		"Mailbox": func() {
			mailbox.Put(node)
			node = mailbox.Take()
		},
	} {
		require.Zerof(t, testing.AllocsPerRun(200, f), "allocations of %s", name)
	}
}

// A reader or consumer that parks and is woken allocates nothing either.
func TestNoAllocsWhenParking(t *testing.T) {
	ctx := newDeadline(t)
	ring := ringbuf.NewRing[int](64, 0, nil, parkAtOnce)
	reader := ring.NewReader()
	there, back := ringbuf.NewQueue[uint64](1, parkAtOnce), ringbuf.NewQueue[uint64](1, parkAtOnce)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			_, to, err := reader.Next(ctx, 0)
			if err != nil {
				return
			}
			reader.Advance(to)
			there.TryPush(to)
			_, _ = back.Pop(ctx)
		}
	}()
	allocs := testing.AllocsPerRun(500, func() {
		first, _ := ring.TryClaim(1)
		ring.Publish(first, 1)
		v, _ := there.Pop(ctx)
		back.TryPush(v)
	})
	ring.Close()
	<-done
	require.Zero(t, allocs)
}
