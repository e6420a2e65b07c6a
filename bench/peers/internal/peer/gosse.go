//go:build linux

package peer

import (
	"net"
	"net/http"

	"github.com/tmaxmax/go-sse"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// goSSE writes to all clients from one goroutine. It has nothing to set that would matter here but what it keeps.
type goSSE struct {
	o   server.Options
	srv sse.Server
	ids ids
}

func newGoSSE(o server.Options) (server.Server, error) {
	s := &goSSE{o: o}
	if o.History {
		replay, err := sse.NewFiniteReplayer(kept, false)
		if err != nil {
			return nil, err
		}
		s.srv.Provider = &sse.Joe{Replayer: replay}
	}
	s.srv.OnSession = func(w http.ResponseWriter, r *http.Request) ([]string, bool) {
		// The library sends the head with the first event; a client that waits for the head before it counts as
		// connected needs it now.
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		return []string{r.URL.Query().Get("topic")}, true
	}
	return s, nil
}

func (s *goSSE) Serve(ln net.Listener) error { return serveHTTP(ln, s.o, greeted(s.o, &s.srv)) }

// Position implements [server.Positioner].
func (s *goSSE) Position() string { return s.ids.position() }

func (s *goSSE) Path(kind stamp.Kind) string { return "/events?topic=" + channelParameter(kind) }

func (s *goSSE) Publish(kind stamp.Kind, index uint32, data []byte) error {
	m := &sse.Message{ID: sse.ID(s.ids.next()), Type: sse.Type("message")}
	m.AppendData(string(data))
	return s.srv.Publish(m, channelOf(kind, index))
}
