package stream_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// scriptedLog is a log in memory that outlives its hubs, may hang, and may have the
// clock of a machine that was ahead.
type scriptedLog struct {
	*persist.Memory
	gate  chan struct{} // nil: open
	ahead time.Duration
}

func (l *scriptedLog) Append(ctx context.Context, records []persist.Record) error {
	if l.gate != nil {
		<-l.gate
	}
	for i := range records {
		records[i].Time += l.ahead.Milliseconds()
	}
	return l.Memory.Append(ctx, records)
}

func (l *scriptedLog) Close() error { return nil }

// oncePush is a push API that remembers keys.
func oncePush(t *testing.T, l persist.Log, window time.Duration, most int, opts ...stream.PushOption) (push func(key, body string) *httptest.ResponseRecorder, end func()) {
	t.Helper()
	hub := newHub(t, engine.WithLog(l))
	once, err := stream.NewOnce(t.Context(), hub, window, most)
	require.NoError(t, err)
	h := stream.PushHandler(hub, append(opts, stream.WithPushOnce(once))...)
	return func(key, body string) *httptest.ResponseRecorder { return post(h, body, "Idempotency-Key", key) }, hub.Close
}

const onePush = `{"events":[{"data":"x"}]}`

// Invariant 5: while a log hangs, pushes with keys whose clients give up and send
// others hold a bounded number of bodies and goroutines, and all that were taken are
// published once, when the log goes on.
func TestPushesWithKeysThatHangAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		most int
	}{
		"number": {onePush, 1024},
		"bytes":  {onePush + strings.Repeat(" ", 20<<20), 3},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "bytes" {
				testrace.Pointless(t)
			}
			l := &scriptedLog{Memory: persist.NewMemory(), gate: make(chan struct{})}
			open := sync.OnceFunc(func() { close(l.gate) })
			t.Cleanup(open) // before the hub is closed
			push, _ := oncePush(t, l, time.Minute, 10_000, stream.WithPushBodyLimit(1<<30), stream.WithPushTimeout(time.Millisecond))
			t.Cleanup(open)
			taken := 0
			for ; taken <= c.most; taken++ {
				if a := refused(t, push(fmt.Sprint(taken), c.body), 503, ""); strings.Contains(a.Error, "under way") {
					break
				}
			}
			require.Equal(t, c.most, taken)
			open()
			for i := range taken {
				require.Eventually(t, func() bool { return push(fmt.Sprint(i), c.body).Code == 200 }, patience, time.Millisecond)
			}
			require.Eventually(t, func() bool { return push("more", onePush).Code == 200 }, patience, time.Millisecond)
			require.EqualValues(t, 2*(taken+1), l.LogStats().Count, "each once, with its note")
		})
	}
}

// Invariant 6: who got no answer before the end of the hub gets the IDs that were
// given. A clock that was ahead then does not keep the key, and in its place others
// out, for longer than the window.
func TestKeysOfAnEarlierLifeAndClock(t *testing.T) {
	l := &scriptedLog{Memory: persist.NewMemory(), ahead: 1000 * time.Hour}
	push, end := oncePush(t, l, time.Second, 1)
	ids := accepted(t, push("a", onePush))
	end()
	l.ahead = 0
	push, _ = oncePush(t, l, time.Second, 1)
	again := push("a", onePush)
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	require.Equal(t, ids, accepted(t, again))
	refused(t, push("a", `{"events":[{"data":"y"}]}`), 422, "Idempotency-Key")
	refused(t, push("b", onePush), 503, "Idempotency-Key")
	require.Eventually(t, func() bool { return push("b", onePush).Code == 200 }, patience, 50*time.Millisecond)
}

// Nobody's keys keep those of others out: one user, and one grant without a user, has at
// most half of them, also after a restart. Their keys are their own.
func TestNoOwnerHasAllKeys(t *testing.T) {
	l := &scriptedLog{Memory: persist.NewMemory()}
	authorize := func(r *http.Request) (stream.Grant, error) {
		g := stream.FullGrant(r.Header.Get("X-User"))
		g.ID = r.Header.Get("X-Grant")
		return g, nil
	}
	for life := range 2 {
		hub := newHub(t, engine.WithLog(l))
		once, err := stream.NewOnce(t.Context(), hub, time.Minute, 8)
		require.NoError(t, err)
		h := stream.AuthorizedPush(hub, authorize, stream.WithPushOnce(once))
		push := func(user, grant, key string) *httptest.ResponseRecorder {
			return post(h, onePush, "Idempotency-Key", key, "X-User", user, "X-Grant", grant)
		}
		for i := range 4 {
			again := push("greedy", fmt.Sprint("token", life), fmt.Sprint(i))
			accepted(t, again)
			require.Equal(t, life == 1, again.Header().Get("Idempotency-Replayed") == "true")
		}
		require.Contains(t, refused(t, push("greedy", "", "more"), 429, "Idempotency-Key").Error, "half")
		seen := map[string]bool{}
		for _, grant := range []string{"", "g1", "g2"} {
			seen[fmt.Sprint(accepted(t, push("", grant, "0")))] = true
		}
		require.Len(t, seen, 3, "the same key of three")
		hub.Close()
	}
}

// storeOnly is a Store and no Log.
type storeOnly struct{ persist.Store }

// Invariant 6: where a push and its key are not kept together, and for the window, no
// keys are taken at all.
func TestStoresKeepNoKeys(t *testing.T) {
	l := persist.FromStore(storeOnly{persist.NewMemory()})
	_, err := stream.NewOnce(t.Context(), newHub(t, engine.WithLog(l)), time.Minute, 7)
	require.ErrorIs(t, err, engine.ErrNoNotes)
	require.ErrorContains(t, err, "FromStore")
	_, err = newHub(t, engine.WithLog(persist.FromStore(storeOnly{persist.NewMemory()}))).PublishNoted(t.Context(), 1, nil, &wire.Event{Data: "x"})
	require.ErrorIs(t, err, engine.ErrNoNotes)
}
