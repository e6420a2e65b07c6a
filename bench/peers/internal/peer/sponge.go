//go:build linux

package peer

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/go-dev-frame/sponge/pkg/sse"
	"go.uber.org/zap"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// sponge is the seed of spate's API. Its hub puts one entry per event and client into one channel; what does not fit
// goes to a pool of goroutines, which loses the order.
type sponge struct {
	o   server.Options
	hub *sse.Hub
	ids ids
}

// newSponge sizes the hub's channel for two events to everyone. The same option sizes each client's channel, so beyond
// 1,000 clients the default has to do.
func newSponge(o server.Options) (server.Server, error) {
	size := buffer(o, 1000)
	if o.Conns <= 1000 {
		size = max(size, 2*o.Conns)
	}
	options := []sse.HubOption{sse.WithLogger(zap.NewNop()), sse.WithPushBufferSize(size)}
	if o.History {
		options = append(options, sse.WithStore(&spongeStore{}), sse.WithEnableResendEvents())
	}
	return &sponge{o: o, hub: sse.NewHub(options...)}, nil
}

// spongeStore keeps events in memory, in the order in which they are saved; the library has no store of its own.
type spongeStore struct {
	mu     sync.RWMutex
	events []*sse.Event
}

// Save implements [sse.Store].
func (s *spongeStore) Save(_ context.Context, e *sse.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	return nil
}

// ListByLastID implements [sse.Store]: a page of what follows an ID, and the last ID of it if there is more. IDs are
// numbers from 1, without holes.
func (s *spongeStore) ListByLastID(_ context.Context, _, lastID string, pageSize int) ([]*sse.Event, string, error) {
	after, err := strconv.Atoi(lastID)
	if err != nil {
		return nil, "", err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	rest := s.events[min(after, len(s.events)):]
	if len(rest) <= pageSize {
		return rest, "", nil
	}
	return rest[:pageSize], rest[pageSize-1].ID, nil
}

// Position implements [server.Positioner].
func (s *sponge) Position() string { return s.ids.position() }

func (s *sponge) Serve(ln net.Listener) error {
	r := newGin()
	r.GET("/events", func(c *gin.Context) { s.hub.Serve(c, c.Query("uid")) })
	return serveHTTP(ln, s.o, r)
}

func (s *sponge) Publish(kind stamp.Kind, index uint32, data []byte) error {
	e := &sse.Event{ID: s.ids.next(), Event: sse.DefaultEventType, Data: string(data)}
	switch kind {
	case stamp.Broadcast:
		return s.hub.Push(nil, e)
	case stamp.User:
		return s.hub.Push([]string{server.Name('u', index)}, e)
	}
	return errors.New("sponge has no topics")
}
