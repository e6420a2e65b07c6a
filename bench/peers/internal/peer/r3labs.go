//go:build linux

package peer

import (
	"net"
	"strconv"

	"github.com/r3labs/sse/v2"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// r3labs has streams: one goroutine each, which sends to the clients' channels, whose size is fixed, and waits where one
// is full.
type r3labs struct {
	o   server.Options
	srv *sse.Server
	ids ids
}

// newR3labs switches the replay log off, which keeps every event for ever, unless events have to be kept.
func newR3labs(o server.Options) (server.Server, error) {
	srv := sse.New()
	srv.AutoReplay = o.History
	srv.BufferSize = 16
	for _, name := range channels(o)[1:] {
		srv.CreateStream(name)
	}
	srv.BufferSize = buffer(o, sse.DefaultBufferSize)
	srv.CreateStream(everyone)
	return &r3labs{o: o, srv: srv}, nil
}

func (s *r3labs) Serve(ln net.Listener) error { return serveHTTP(ln, s.o, greeted(s.o, s.srv)) }

// Position implements [server.Positioner]: the library numbers what it keeps from 0.
func (s *r3labs) Position() string {
	if s.ids.last == 0 {
		return ""
	}
	return strconv.FormatUint(s.ids.last-1, 10)
}

func (s *r3labs) Path(kind stamp.Kind) string { return "/events?stream=" + channelParameter(kind) }

func (s *r3labs) Publish(kind stamp.Kind, index uint32, data []byte) error {
	s.srv.Publish(channelOf(kind, index), &sse.Event{
		ID: []byte(s.ids.next()), Event: []byte("message"), Data: append([]byte(nil), data...),
	})
	return nil
}
