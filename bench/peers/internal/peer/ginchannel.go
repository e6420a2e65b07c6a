//go:build linux

package peer

import (
	"io"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// ginChannel is what is written by hand: a Gin handler and a channel for each client. The frame is made once for all. A
// client whose channel is full misses the event, so that no other waits for it.
type ginChannel struct {
	o    server.Options
	size int
	id   uint64

	mu     sync.RWMutex
	all    map[chan []byte]uint32 // to the user's number
	byUser map[uint32]chan []byte
}

func newGinChannel(o server.Options) (server.Server, error) {
	return &ginChannel{o: o, size: buffer(o, 64), all: map[chan []byte]uint32{}, byUser: map[uint32]chan []byte{}}, nil
}

func (s *ginChannel) Serve(ln net.Listener) error {
	r := newGin()
	r.GET("/events", s.events)
	return serveHTTP(ln, s.o, greeted(s.o, r))
}

func (s *ginChannel) events(c *gin.Context) {
	n, _ := strconv.ParseUint(strings.TrimPrefix(c.Query("uid"), "u"), 10, 32)
	user, ch := uint32(n), make(chan []byte, s.size)
	s.mu.Lock()
	s.all[ch], s.byUser[user] = user, ch
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.all, ch)
		if s.byUser[user] == ch {
			delete(s.byUser, user)
		}
	}()
	c.Header("Content-Type", "text/event-stream")
	c.Header("Cache-Control", "no-cache")
	c.Writer.Flush()
	gone := c.Request.Context().Done()
	c.Stream(func(w io.Writer) bool {
		select {
		case frame := <-ch:
			_, err := w.Write(frame)
			return err == nil
		case <-gone:
			return false
		}
	})
}

func (s *ginChannel) Publish(kind stamp.Kind, index uint32, data []byte) error {
	s.id++
	frame := make([]byte, 0, len(data)+64)
	frame = append(frame, "id: "...)
	frame = strconv.AppendUint(frame, s.id, 10)
	frame = append(frame, "\nevent: message\ndata: "...)
	frame = append(frame, data...)
	frame = append(frame, "\n\n"...)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if kind == stamp.User {
		if ch := s.byUser[index]; ch != nil {
			offer(ch, frame)
		}
		return nil
	}
	for ch := range s.all {
		offer(ch, frame)
	}
	return nil
}

func offer(ch chan []byte, frame []byte) {
	select {
	case ch <- frame:
	default:
	}
}
