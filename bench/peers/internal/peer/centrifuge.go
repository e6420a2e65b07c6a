//go:build linux

package peer

import (
	"context"
	"net"
	"net/http"
	"net/url"

	"github.com/centrifugal/centrifuge"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// centrifugeNode is a node with its SSE transport: a queue and two goroutines a client, and what waits is written at
// once.
type centrifugeNode struct{ node *centrifuge.Node }

// newCentrifuge lifts the bounds on a client's queue and on the messages of one write. Pings are off, since the streams
// of a benchmark could not answer them.
func newCentrifuge(o server.Options) (server.Server, error) {
	node, err := centrifuge.New(centrifuge.Config{LogLevel: centrifuge.LogLevelNone, ClientQueueMaxSize: 64 << 20})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(_ context.Context, e centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{
			Credentials:        &centrifuge.Credentials{UserID: e.Token},
			Subscriptions:      map[string]centrifuge.SubscribeOptions{e.Token: {}},
			MaxMessagesInFrame: -1,
		}, nil
	})
	return &centrifugeNode{node}, node.Run()
}

func (s *centrifugeNode) Serve(ln net.Listener) error {
	h := centrifuge.NewSSEHandler(s.node, centrifuge.SSEConfig{
		PingPongConfig: centrifuge.PingPongConfig{PingInterval: -1, PongTimeout: -1},
	})
	mux := http.NewServeMux()
	mux.Handle("/events", h)
	return serveHTTP(ln, mux)
}

// Path passes the channel as the token of the connect command.
func (s *centrifugeNode) Path(kind stamp.Kind) string {
	head, tail := url.QueryEscape(`{"id":1,"connect":{"token":"`), url.QueryEscape(`"}}`)
	return "/events?cf_connect=" + head + channelParameter(kind) + tail
}

func (s *centrifugeNode) Publish(kind stamp.Kind, index uint32, data []byte) error {
	text := make([]byte, 0, len(data)+2) // JSON: nothing in a stamp has to be escaped
	text = append(append(append(text, '"'), data...), '"')
	_, err := s.node.Publish(channelOf(kind, index), text)
	return err
}
