//go:build linux

package peer

import (
	"errors"
	"net"

	"github.com/gin-gonic/gin"
	"github.com/go-dev-frame/sponge/pkg/sse"
	"go.uber.org/zap"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// sponge is the seed of spate's API. Its hub puts one entry per event and client into one channel; what does not fit
// goes to a pool of goroutines, which loses the order.
type sponge struct{ hub *sse.Hub }

// newSponge sizes the hub's channel for two events to everyone. The same option sizes each client's channel, so beyond
// 1,000 clients the default has to do.
func newSponge(o server.Options) (server.Server, error) {
	size := buffer(o, 1000)
	if o.Conns <= 1000 {
		size = max(size, 2*o.Conns)
	}
	return &sponge{sse.NewHub(sse.WithLogger(zap.NewNop()), sse.WithPushBufferSize(size))}, nil
}

func (s *sponge) Serve(ln net.Listener) error {
	r := newGin()
	r.GET("/events", func(c *gin.Context) { s.hub.Serve(c, c.Query("uid")) })
	return serveHTTP(ln, r)
}

func (s *sponge) Publish(kind stamp.Kind, index uint32, data []byte) error {
	e := &sse.Event{Event: sse.DefaultEventType, Data: string(data)}
	switch kind {
	case stamp.Broadcast:
		return s.hub.Push(nil, e)
	case stamp.User:
		return s.hub.Push([]string{server.Name('u', index)}, e)
	}
	return errors.New("sponge has no topics")
}
