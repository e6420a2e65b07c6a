package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// gatedLog holds readings for very many topics until its gate is opened, and
// notes for how many topics each reading was.
type gatedLog struct {
	*persist.Memory
	gate   chan struct{}
	mu     sync.Mutex
	topics []int
}

func (l *gatedLog) Query(ctx context.Context, q persist.Query, after uint64, lim persist.Limit) (persist.Page, error) {
	l.mu.Lock()
	l.topics = append(l.topics, len(q.Topics))
	l.mu.Unlock()
	if len(q.Topics) > 100 {
		select {
		case <-l.gate:
		case <-ctx.Done():
			return persist.Page{}, ctx.Err()
		}
	}
	return l.Memory.Query(ctx, q, after, lim)
}

// Invariant 5: 100 connections of one source that resume with 1,000 topics each
// do not hold up an ordinary one, of whatever source, for a single reading of
// theirs.
func TestResumesOfManyTopicsDelayNoOther(t *testing.T) {
	l := &gatedLog{Memory: persist.NewMemory(), gate: make(chan struct{})}
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
	l.mu.Lock()
	dear := 0
	for _, n := range l.topics {
		if n > 100 {
			dear++
		}
	}
	l.mu.Unlock()
	require.LessOrEqual(t, dear, 1, "readings of theirs that were begun meanwhile")
	close(l.gate)
	for _, s := range hostile {
		s.awaitText("id: " + wire.FormatID(last) + "\n")
	}
}

// Cheap readings without end do not starve the dear ones.
func TestDearReadingsGoOnBesideCheapOnes(t *testing.T) {
	l := &gatedLog{Memory: persist.NewMemory(), gate: make(chan struct{})}
	close(l.gate)
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
