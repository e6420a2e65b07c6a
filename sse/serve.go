package sse

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/spatehub/spate/serve"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// Serve streams the hub's events to user uid. An empty uid is answered by 400; a
// connection of nobody in particular is served by [serve.Serve].
func (h *Hub) Serve(c *gin.Context, uid string, opts ...ServeOption) {
	if uid == "" {
		answer(c, http.StatusBadRequest, "uid is empty", nil)
		c.Abort()
		return
	}
	serve.Serve(c, h.hub, uid, opts...)
}

// ServeHandler is [Hub.Serve] for the user that middleware has put into the
// context under "uid".
func (h *Hub) ServeHandler(opts ...ServeOption) func(c *gin.Context) {
	return func(c *gin.Context) {
		h.Serve(c, c.GetString("uid"), opts...)
	}
}

// PushRequest is the body that [Hub.PushEventHandler] takes.
type PushRequest struct {
	UIDs   []string `json:"uids,omitempty"` // left out: everyone
	Events []*Event `json:"events"`
}

// PushEventHandler publishes what is posted to it, a [PushRequest] as JSON, and
// answers {"code":0,"msg":"ok","data":{"ids":[...]}}; what is refused has its
// status as code and says why. It reads the body as strictly as
// [serve.PushHandler]. It asks nobody for permission: put authorization in front
// of it.
func (h *Hub) PushEventHandler() func(c *gin.Context) {
	return func(c *gin.Context) {
		ids, refusal := stream.Publish(c.Writer, c.Request, h.hub)
		if refusal != nil {
			answer(c, refusal.Status, refusal.Error(), nil)
			c.Abort()
			return
		}
		texts := make([]string, len(ids))
		for i, id := range ids {
			if id != 0 {
				texts[i] = wire.FormatID(id)
			}
		}
		answer(c, http.StatusOK, "ok", texts)
	}
}

// answer writes a body of the form {"code":…,"msg":…,"data":{…}}.
func answer(c *gin.Context, status int, msg string, ids []string) {
	code := status
	if status == http.StatusOK {
		code = 0
	}
	data := gin.H{}
	if ids != nil {
		data["ids"] = ids
	}
	c.JSON(status, gin.H{"code": code, "msg": msg, "data": data})
}
