package stream

import (
	"net/http"
	"strings"
	"unique"

	"github.com/spatehub/spate/engine"
)

// maxClientName bounds what is kept of a User-Agent.
const maxClientName = 120

// WithPeers has the hub's list of connections tell where each comes from, by address, and
// the beginning of its User-Agent; of this package itself it tells the transport. It
// costs some 100 bytes a connection. Without the option nothing of it is kept.
func WithPeers(address func(*http.Request) string) Option {
	return func(c *config) { c.peers = address }
}

// usePeer notes who is at the other end of a stream that is about to begin.
func (c *config) usePeer(seat *engine.Seat, r *http.Request, by transport) {
	if c.peers == nil {
		return
	}
	client := strings.ToValidUTF8(r.UserAgent(), "\uFFFD")
	if len(client) > maxClientName {
		client = strings.ToValidUTF8(client[:maxClientName], "")
	}
	seat.UsePeer(&engine.Peer{
		Address:   strings.Clone(c.peers(r)),
		Client:    unique.Make(client).Value(), // most are the same few
		Transport: by.String(),
	})
}
