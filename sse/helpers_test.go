package sse_test

import (
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/sse"
)

// patience ends a test that waits for what does not come.
const patience = 20 * time.Second

var silent = slog.New(slog.DiscardHandler)

// newSite serves a hub as its users do, and returns the address.
func newSite(t *testing.T, opts ...sse.HubOption) (*sse.Hub, string) {
	t.Helper()
	hub := sse.NewHub(append([]sse.HubOption{sse.WithLogger(silent)}, opts...)...)
	r := gin.New()
	r.GET("/events", func(c *gin.Context) {
		hub.Serve(c, c.Query("uid"), sse.WithServeExtraHeaders(map[string]string{"X-Test": "yes"}))
	})
	r.POST("/push", hub.PushEventHandler())
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	t.Cleanup(func() { hub.Close(false) })
	return hub, server.URL
}

// follow connects a client of user uid that hands its events on.
func follow(t *testing.T, hub *sse.Hub, url, uid string, opts ...sse.ClientOption) (*sse.SSEClient, chan *sse.Event) {
	t.Helper()
	before := hub.OnlineClientsNum()
	events := make(chan *sse.Event, 100)
	c := sse.NewClient(url+"/events?uid="+uid, append([]sse.ClientOption{sse.WithClientReconnectTimeInterval(time.Millisecond)}, opts...)...)
	c.OnEvent(sse.DefaultEventType, func(e *sse.Event) { events <- e })
	require.NoError(t, c.Connect())
	t.Cleanup(func() {
		c.Disconnect()
		<-c.Wait()
	})
	require.Eventually(t, func() bool { return hub.OnlineClientsNum() > before }, patience, time.Millisecond)
	return c, events
}

func next(t *testing.T, events chan *sse.Event) *sse.Event {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(patience):
		require.Fail(t, "no event came")
		return nil
	}
}
