package engine_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// failures collects what the push-failed callback is told.
type failures struct {
	mu   sync.Mutex
	cond *sync.Cond
	list []failure
}

type failure struct {
	uid string
	ev  *wire.Event
}

func newFailures() *failures {
	f := &failures{}
	f.cond = sync.NewCond(&f.mu)
	return f
}

func (f *failures) option() engine.HubOption { return engine.WithPushFailedHandleFn(f.add) }

func (f *failures) add(uid string, e *wire.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, failure{uid, e})
	f.cond.Broadcast()
}

// await waits until at least n failures were told, and returns all.
func (f *failures) await(n int) []failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.list) < n {
		f.cond.Wait()
	}
	return slices.Clone(f.list)
}

// data lists the payloads told, sorted by ID.
func (f *failures) data(t testing.TB) (out []string) {
	f.mu.Lock()
	list := slices.Clone(f.list)
	f.mu.Unlock()
	slices.SortFunc(list, func(a, b failure) int {
		x, err := wire.ParseID(a.ev.ID)
		require.NoError(t, err)
		y, err := wire.ParseID(b.ev.ID)
		require.NoError(t, err)
		return int(int64(x - y))
	})
	for _, x := range list {
		out = append(out, x.ev.Data.(string))
	}
	return out
}

// requireSums fails unless every receiver of every event is accounted for.
func requireSums(t testing.TB, h *engine.Hub) engine.Stats {
	t.Helper()
	st := settled(h)
	require.NoError(t, engine.Audit(h))
	require.Equal(t, st.Pushed, st.Delivered+st.Dropped+st.TimedOut+st.Failed+st.Conflated+st.NoReceiver+st.Pending,
		"statistics add up: %+v", st)
	return st
}
