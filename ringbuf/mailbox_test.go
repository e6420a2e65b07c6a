package ringbuf_test

import (
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/ringbuf"
)

func TestMailboxZeroValueIsEmpty(t *testing.T) {
	var m ringbuf.Mailbox[int]
	require.True(t, m.Empty())
	require.Nil(t, m.Take())
}

// Any sequence of operations does to a mailbox what it does to a slice.
func TestMailboxAgainstSlice(t *testing.T) {
	rng := newRand(newSeed(t), 0)
	var m ringbuf.Mailbox[int]
	var want []int // all that is in the mailbox
	untaken := 0   // those at its end that the consumer has not taken over
	var spare []*ringbuf.Node[int]
	for i := range 20000 {
		if rng.IntN(2) == 0 {
			n := &ringbuf.Node[int]{}
			if len(spare) > 0 { // nodes may be put again
				n, spare = spare[len(spare)-1], spare[:len(spare)-1]
			}
			n.Value = i
			require.Equal(t, untaken == 0, m.Put(n))
			want, untaken = append(want, i), untaken+1
			continue
		}
		if untaken == len(want) {
			untaken = 0 // Take takes over all at once
		}
		n := m.Take()
		require.Equal(t, len(want) == 0, n == nil)
		if n != nil {
			require.Equal(t, want[0], n.Value)
			require.False(t, n.Linked(), "the node keeps the next one alive")
			want, spare = want[1:], append(spare, n)
		}
		require.Equal(t, len(want) == 0, m.Empty())
	}
}

// Every producer's nodes come out exactly once and in order, and a consumer
// that goes to sleep on Empty is told by the wasEmpty of a later Put.
func TestMailboxStress(t *testing.T) {
	const producers, each = 4, 20000
	type item struct{ producer, n int }
	ctx := newDeadline(t)
	var m ringbuf.Mailbox[item]
	wake := make(chan struct{}, producers*each)
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for n := range each {
				if m.Put(&ringbuf.Node[item]{Value: item{p, n}}) {
					wake <- struct{}{}
				}
				if n%64 == p {
					runtime.Gosched()
				}
			}
		})
	}
	var counts [producers]int
	for total := 0; total < producers*each; {
		n := m.Take()
		if n == nil {
			select {
			case <-wake:
			case <-ctx.Done():
				require.Fail(t, "the mailbox was filled and wasEmpty told nobody")
			}
			continue
		}
		require.Equal(t, counts[n.Value.producer], n.Value.n)
		counts[n.Value.producer]++
		total++
	}
	wg.Wait()
	require.True(t, m.Empty())
}
