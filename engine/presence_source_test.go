package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/stretchr/testify/require"
)

// register is a PresenceSource that notes who is here.
type register struct {
	*stand
	mu    sync.Mutex
	err   func() error // nil: it takes what it is told
	here  map[string]bool
	calls int
	tells int            // that it took
	busy  map[string]int // who is being told of
	twice bool           // one by two at one time
}

func newRegister() *register {
	return &register{stand: newStand(), here: map[string]bool{}, busy: map[string]int{}}
}

func (r *register) BeginPresence(string) bool { return true }

func (r *register) TellPresence(_ context.Context, uid string, here bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.busy[uid]++; r.busy[uid] > 1 {
		r.twice = true
	}
	defer func() { r.busy[uid]-- }()
	r.mu.Unlock() // somebody else may come meanwhile
	runtime.Gosched()
	r.mu.Lock()
	if r.err != nil {
		err := r.err()
		if !errors.Is(err, engine.ErrUnready) || !here {
			r.note(uid, here) // nobody knows
		}
		if err != nil {
			return err
		}
	}
	r.tells++
	r.note(uid, here)
	return nil
}

func (r *register) note(uid string, here bool) {
	if here {
		r.here[uid] = true
	} else {
		delete(r.here, uid)
	}
}

func (r *register) is(want map[string]bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for uid := range want {
		if !r.here[uid] {
			return false
		}
	}
	return len(want) == len(r.here)
}

func (r *register) set(err func() error) {
	r.mu.Lock()
	r.err = err
	r.mu.Unlock()
}

func presenceHub(t *testing.T, src engine.Source) *engine.Hub {
	return newHub(t, engine.WithSource(src), engine.WithPresence("presence"), engine.WithEnableResendEvents(), engine.WithLog(persist.NewMemory()))
}

// Invariant 5: users who come and go while their source is away, or slower than they are,
// are let in all the same, however often: what waits is what is to be told of each, not how
// it came to that. When the source is there again it learns who is here.
func TestUsersComeAndGoWhileTheirSourceIsAway(t *testing.T) {
	src := newRegister()
	src.set(func() error { return engine.ErrUnready })
	h := presenceHub(t, src)
	const users, visits = 1200, 30 // of which each is two changes
	for range visits {
		conns := make([]*memSink, users)
		for i := range conns {
			conns[i] = join(t, h, engine.Subscription{UID: fmt.Sprint("u", i)}, -1)
		}
		for _, c := range conns {
			c.sub.Hangup(nil)
			c.awaitClosed()
		}
	}
	want := map[string]bool{}
	for i := range 50 {
		uid := fmt.Sprint("u", i*20)
		join(t, h, engine.Subscription{UID: uid}, -1)
		want[uid] = true
	}
	src.set(nil)
	require.Eventually(t, func() bool { return src.is(want) }, time.Minute, time.Millisecond)
	src.mu.Lock()
	defer src.mu.Unlock()
	require.LessOrEqual(t, src.tells, users)
}

// Invariant 5: where telling fails for some time, it is tried again more and more seldom, and soon after it works again.
func TestTellingThatFailsIsNotRepeatedAsFastAsItCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newRegister()
		src.set(func() error { return errors.New("storage is full") })
		h := presenceHub(t, src)
		want := map[string]bool{}
		for i := range 10 {
			uid := fmt.Sprint("u", i)
			join(t, h, engine.Subscription{UID: uid}, -1)
			want[uid] = true
		}
		time.Sleep(5 * time.Minute)
		src.mu.Lock()
		require.LessOrEqual(t, src.calls, 10*70)
		clear(src.here)
		src.mu.Unlock()
		src.set(nil)
		time.Sleep(6 * time.Second)
		require.True(t, src.is(want))
		h.Close()
	})
}

// Whatever fails, the source knows in the end who is here; a user is told of by one at a
// time.
func TestPresenceIsToldUntilItIsKnown(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng, own := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
	src := newRegister()
	src.set(func() error { return []error{nil, errors.New("lost"), engine.ErrUnready}[own.IntN(3)] })
	h := presenceHub(t, src)
	conns := map[string]*memSink{}
	for range 2000 {
		uid := fmt.Sprint("u", rng.IntN(20))
		if c := conns[uid]; c != nil {
			c.sub.Hangup(nil)
			c.awaitClosed()
			delete(conns, uid)
		} else {
			conns[uid] = join(t, h, engine.Subscription{UID: uid}, -1)
		}
	}
	want := map[string]bool{}
	for uid := range conns {
		want[uid] = true
	}
	src.set(nil)
	require.Eventually(t, func() bool { return src.is(want) }, time.Minute, time.Millisecond)
	src.mu.Lock()
	defer src.mu.Unlock()
	require.False(t, src.twice)
}
