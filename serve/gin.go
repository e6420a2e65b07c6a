package serve

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
)

// Serve is [Handler] for Gin: it streams the hub's events to user uid, "" for an
// anonymous client. A request that is refused is aborted.
func Serve(c *gin.Context, hub *engine.Hub, uid string, opts ...ServeOption) {
	if !stream.Serve(c.Writer, c.Request, hub, uid, opts...) {
		c.Abort()
	}
}

// ServeGrant is [Serve] within a grant.
func ServeGrant(c *gin.Context, hub *engine.Hub, g Grant, opts ...ServeOption) {
	if !stream.ServeGrant(c.Writer, c.Request, hub, g, opts...) {
		c.Abort()
	}
}

// PushEventHandler is [PushHandler] for Gin. A request that is refused is
// aborted.
func PushEventHandler(hub *engine.Hub, opts ...PushOption) gin.HandlerFunc {
	h := stream.PushHandler(hub, opts...)
	return func(c *gin.Context) {
		h.ServeHTTP(c.Writer, c.Request)
		if c.Writer.Status() != http.StatusOK {
			c.Abort()
		}
	}
}
