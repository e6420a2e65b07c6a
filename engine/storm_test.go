package engine_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// Invariant 5: 100 connections of one source that resume with 1,000 topics each
// do not hold up an ordinary one, of whatever source, for a single reading of
// theirs.
func TestResumesOfManyTopicsDelayNoOther(t *testing.T) {
	l, gate := newWholeLog(), make(chan struct{})
	var begun atomic.Int32 // readings for very many topics: held until the gate is opened
	l.onQuery = func(ctx context.Context, q persist.Query) error {
		if len(q.Topics) <= 100 {
			return nil
		}
		begun.Add(1)
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	h := newHub(t, engine.WithLog(l), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16))
	first := pushN(t, h, 1)[0]
	last := pushN(t, h, 1500)[1499]
	topics := make([]string, 1000)
	for i := range topics {
		topics[i] = fmt.Sprint("topic-", i)
	}
	var hostile []*memSink
	for range 100 {
		hostile = append(hostile, joinNow(t, h, engine.Subscription{Topics: topics, LastEventID: wire.FormatID(first), Source: "192.0.2.1"}))
	}
	for _, source := range []string{"192.0.2.1", "192.0.2.2", ""} {
		s := joinNow(t, h, engine.Subscription{LastEventID: wire.FormatID(first), Source: source})
		s.awaitText("id: " + wire.FormatID(last) + "\n")
	}
	require.LessOrEqual(t, begun.Load(), int32(1), "readings of theirs that were begun meanwhile")
	close(gate)
	for _, s := range hostile {
		s.awaitText("id: " + wire.FormatID(last) + "\n")
	}
}

// Cheap readings without end do not starve the dear ones.
func TestDearReadingsGoOnBesideCheapOnes(t *testing.T) {
	l := newWholeLog()
	h := newHub(t, engine.WithLog(l), engine.WithEnableResendEvents(), engine.WithChanBufferSize(16))
	first := pushN(t, h, 1)[0]
	last := pushN(t, h, 100)[99]
	topics := make([]string, 200)
	for i := range topics {
		topics[i] = fmt.Sprint("topic-", i)
	}
	stop := make(chan struct{})
	var crowd sync.WaitGroup
	for p := range 20 {
		crowd.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				// Topics of their own: no page is shared.
				s := joinNow(t, h, engine.Subscription{Topics: []string{fmt.Sprint(p, "-", i)}, LastEventID: wire.FormatID(first)})
				s.awaitText("id: " + wire.FormatID(last) + "\n")
				s.sub.Hangup(nil)
			}
		})
	}
	s := joinNow(t, h, engine.Subscription{Topics: topics, LastEventID: wire.FormatID(first)})
	s.awaitText("id: " + wire.FormatID(last) + "\n")
	close(stop)
	crowd.Wait()
}

// joinNow is join that does not wait until the connection is taken in.
func joinNow(t testing.TB, h *engine.Hub, sub engine.Subscription) *memSink {
	s := newSink(-1)
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	s.sub, err = h.Subscribe(sub, s)
	require.NoError(t, err)
	return s
}
