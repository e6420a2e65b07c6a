//go:build linux

package peer

import (
	"fmt"
	"net"
	"net/http"

	"github.com/launchdarkly/eventsource"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// ldEventsource ends a stream whose channel is full.
type ldEventsource struct {
	kept *eventsource.SliceRepository // nil if nothing is kept
	srv  *eventsource.Server
	ids  ids
}

// newEventsource makes the clients' channels as large as the work needs.
func newEventsource(o server.Options) (server.Server, error) {
	srv := eventsource.NewServer()
	srv.BufferSize = buffer(o, srv.BufferSize)
	srv.Gzip = o.Gzip
	s := &ldEventsource{srv: srv}
	if o.History {
		s.kept = eventsource.NewSliceRepository()
		srv.Register(everyone, s.kept)
	}
	return s, nil
}

// Position implements [server.Positioner].
func (s *ldEventsource) Position() string {
	if s.ids.last == 0 {
		return ""
	}
	return sortable(s.ids.last)
}

// sortable writes a number so that the repository, which compares text, has it in its place.
func sortable(id uint64) string { return fmt.Sprintf("%016d", id) }

func (s *ldEventsource) Serve(ln net.Listener) error {
	return serveHTTP(ln, server.Options{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.srv.Handler(r.URL.Query().Get("channel"))(w, r)
	}))
}

func (s *ldEventsource) Path(kind stamp.Kind) string {
	return "/events?channel=" + channelParameter(kind)
}

func (s *ldEventsource) Publish(kind stamp.Kind, index uint32, data []byte) error {
	s.ids.last++
	e := &ldEvent{sortable(s.ids.last), string(data)}
	if s.kept != nil {
		s.kept.Add(channelOf(kind, index), e)
	}
	s.srv.Publish([]string{channelOf(kind, index)}, e)
	return nil
}

// ldEvent implements [eventsource.Event].
type ldEvent struct{ id, data string }

func (e *ldEvent) Id() string    { return e.id } //nolint:staticcheck // the library's name
func (e *ldEvent) Event() string { return "message" }
func (e *ldEvent) Data() string  { return e.data }
