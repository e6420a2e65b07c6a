//go:build linux

package peer

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/centrifugal/centrifuge"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// centrifugeNode is a node with its SSE transport: a queue and two goroutines a client, and what waits is written at
// once.
type centrifugeNode struct {
	o    server.Options
	node *centrifuge.Node
	last centrifuge.StreamPosition // of what was published last
}

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
			Subscriptions:      map[string]centrifuge.SubscribeOptions{e.Token: {EnableRecovery: o.History}},
			MaxMessagesInFrame: -1,
		}, nil
	})
	return &centrifugeNode{o: o, node: node}, node.Run()
}

// Position implements [server.Positioner].
func (s *centrifugeNode) Position() string {
	if s.last.Offset == 0 {
		return ""
	}
	return goOn(s.last.Offset, s.last.Epoch)
}

func (s *centrifugeNode) Serve(ln net.Listener) error {
	h := centrifuge.NewSSEHandler(s.node, centrifuge.SSEConfig{
		PingPongConfig: centrifuge.PingPongConfig{PingInterval: -1, PongTimeout: -1},
	})
	mux := http.NewServeMux()
	mux.Handle("/events", h)
	return serveHTTP(ln, s.o, mux)
}

// Path passes the channel as the token of the connect command, and where to go on in it.
func (s *centrifugeNode) Path(kind stamp.Kind) string {
	channel := channelParameter(kind)
	return "/events?cf_connect=" + url.QueryEscape(`{"id":1,"connect":{"token":"`) + channel +
		url.QueryEscape(`","subs":{"`) + channel + url.QueryEscape(`":{`) + "{last}" + url.QueryEscape(`}}}}`)
}

// goOn is what a subscription says that goes on behind an offset.
func goOn(offset uint64, epoch string) string {
	return fmt.Sprintf(`"recover":true,"offset":%d,"epoch":%q`, offset, epoch)
}

func (s *centrifugeNode) Publish(kind stamp.Kind, index uint32, data []byte) error {
	text := posted{data: data}.quoted(make([]byte, 0, len(data)+2))
	var options []centrifuge.PublishOption
	if s.o.History {
		options = append(options, centrifuge.WithHistory(kept, time.Hour))
	}
	res, err := s.node.Publish(channelOf(kind, index), text, options...)
	s.last = res.StreamPosition
	return err
}
