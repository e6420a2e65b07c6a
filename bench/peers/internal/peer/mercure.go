//go:build linux

package peer

import (
	"context"
	"log/slog"
	"net"

	"github.com/dunglas/mercure"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// mercureHub is Mercure as a library, with its transport in memory. A client's channel has a fixed size; one that is
// full ends the stream.
type mercureHub struct {
	hub *mercure.Hub
	ids ids
}

// newMercure switches off what costs a timer or a deadline for each event.
func newMercure(server.Options) (server.Server, error) {
	hub, err := mercure.NewHub(context.Background(), mercure.WithAnonymous(), mercure.WithLogger(slog.New(slog.DiscardHandler)),
		mercure.WithWriteTimeout(0), mercure.WithDispatchTimeout(0), mercure.WithHeartbeat(0))
	return &mercureHub{hub: hub}, err
}

func (s *mercureHub) Serve(ln net.Listener) error { return serveHTTP(ln, s.hub) }

func (s *mercureHub) Path(kind stamp.Kind) string {
	return "/.well-known/mercure?topic=" + channelParameter(kind)
}

func (s *mercureHub) Publish(kind stamp.Kind, index uint32, data []byte) error {
	return s.hub.Publish(context.Background(), &mercure.Update{
		Topics: []string{channelOf(kind, index)},
		Event:  mercure.Event{ID: s.ids.next(), Type: "message", Data: string(data)},
	})
}
