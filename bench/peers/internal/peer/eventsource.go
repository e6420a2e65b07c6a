//go:build linux

package peer

import (
	"net"
	"net/http"

	"github.com/launchdarkly/eventsource"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// ldEventsource ends a stream whose channel is full.
type ldEventsource struct {
	srv *eventsource.Server
	ids ids
}

// newEventsource makes the clients' channels as large as the work needs.
func newEventsource(o server.Options) (server.Server, error) {
	srv := eventsource.NewServer()
	srv.BufferSize = buffer(o, srv.BufferSize)
	srv.Gzip = false
	return &ldEventsource{srv: srv}, nil
}

func (s *ldEventsource) Serve(ln net.Listener) error {
	return serveHTTP(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.srv.Handler(r.URL.Query().Get("channel"))(w, r)
	}))
}

func (s *ldEventsource) Path(kind stamp.Kind) string {
	return "/events?channel=" + channelParameter(kind)
}

func (s *ldEventsource) Publish(kind stamp.Kind, index uint32, data []byte) error {
	s.srv.Publish([]string{channelOf(kind, index)}, &ldEvent{s.ids.next(), string(data)})
	return nil
}

// ldEvent implements [eventsource.Event].
type ldEvent struct{ id, data string }

func (e *ldEvent) Id() string    { return e.id } //nolint:staticcheck // the library's name
func (e *ldEvent) Event() string { return "message" }
func (e *ldEvent) Data() string  { return e.data }
