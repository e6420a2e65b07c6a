package sse_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/sse"
	"github.com/stretchr/testify/require"
)

// hangingLog takes nothing until it is let go, or its context ends.
type hangingLog struct {
	persist.Log
	hangs chan struct{} // closed when Append does
	free  chan struct{}
	once  sync.Once
}

func (l *hangingLog) Append(ctx context.Context, recs []persist.Record) error {
	l.once.Do(func() { close(l.hangs) })
	<-l.free
	return ctx.Err()
}

// Close ends within the drain time-out, also where the event that tells the clients to
// stay away comes after one that the log never takes.
func TestCloseBesideALogThatHangs(t *testing.T) {
	log := &hangingLog{Log: persist.NewMemory(), hangs: make(chan struct{}), free: make(chan struct{})}
	h := sse.NewHub(sse.WithHub(engine.WithLog(log), engine.WithDrainTimeout(10*time.Millisecond)))
	pushed := make(chan error, 1)
	go func() { pushed <- h.Push(nil, &sse.Event{Event: "a", Data: "b"}) }()
	<-log.hangs
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		h.Close()
	}()
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Error("Close hangs with the log")
	}
	close(log.free)
	<-closed
	require.ErrorIs(t, <-pushed, engine.ErrClosed)
	require.ErrorIs(t, h.Push(nil, sse.CloseEvent()), engine.ErrClosed)
}
