//go:build linux

package peer

import (
	"context"
	"net"

	"github.com/dunglas/mercure"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// mercureHub is Mercure as a library, with its transport in memory unless events have to be kept. A client's channel has a
// fixed size; one that is full ends the stream.
type mercureHub struct {
	o   server.Options
	hub *mercure.Hub
	ids ids
}

func newMercure(o server.Options) (server.Server, error) {
	options, err := mercureOptions(o)
	if err != nil {
		return nil, err
	}
	hub, err := mercure.NewHub(context.Background(), options...)
	return &mercureHub{o: o, hub: hub}, err
}

// Position implements [server.Positioner].
func (s *mercureHub) Position() string { return s.ids.position() }

func (s *mercureHub) Serve(ln net.Listener) error { return serveHTTP(ln, s.o, s.hub) }

func (s *mercureHub) Path(kind stamp.Kind) string {
	return "/.well-known/mercure?topic=" + channelParameter(kind)
}

func (s *mercureHub) Publish(kind stamp.Kind, index uint32, data []byte) error {
	return s.hub.Publish(context.Background(), &mercure.Update{
		Topics: []string{channelOf(kind, index)},
		Event:  mercure.Event{ID: s.ids.next(), Type: "message", Data: string(data)},
	})
}
