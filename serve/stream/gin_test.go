package stream_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve"
	"github.com/spatehub/spate/wire"
)

// newGin serves the hub through Gin with the middleware that most programs have.
func newGin(t *testing.T, hub *engine.Hub, after gin.HandlerFunc, opts ...serve.ServeOption) *site {
	r := gin.New()
	r.Use(gin.LoggerWithWriter(io.Discard), gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, err any) {
		t.Errorf("panic: %v", err)
	}), func(c *gin.Context) {
		c.Header("Access-Control-Allow-Origin", "*")
		c.Next()
	})
	r.Any("/events", func(c *gin.Context) { serve.Serve(c, hub, c.Query("uid"), opts...) }, after)
	r.Any("/push", serve.PushEventHandler(hub), after)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	t.Cleanup(hub.Close)
	return &site{t: t, hub: hub, server: server, client: server.Client(), url: server.URL}
}

func TestGin(t *testing.T) {
	for name, opts := range map[string][]serve.ServeOption{
		"raw":      {serve.WithTopics("news")},
		"portable": {serve.WithTopics("news"), serve.WithPortable()},
	} {
		t.Run(name, func(t *testing.T) {
			reached := make(chan string, 10)
			s := newGin(t, newHub(t), func(c *gin.Context) { reached <- c.Request.URL.Path }, opts...)
			st := s.open("uid=u1")
			require.Equal(t, "*", st.resp.Header.Get("Access-Control-Allow-Origin"))

			resp, err := s.client.Post(s.url+"/push", "application/json",
				strings.NewReader(`{"uids":["u1"],"events":[{"event":"order","data":{"n": 1},"topic":"news"}]}`))
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, 200, resp.StatusCode, string(body))
			e := st.next()
			require.Equal(t, `{"n":1}`, e.Data)
			require.Equal(t, "order", e.Event)
			require.JSONEq(t, `{"ids":["`+e.ID+`"]}`, string(body))

			// A refused request goes no further down the chain.
			for _, path := range []string{"/events?uid=%00", "/push"} {
				resp, err := s.client.Get(s.url + path)
				require.NoError(t, err)
				resp.Body.Close()
				require.GreaterOrEqual(t, resp.StatusCode, 400)
			}
			st.close()
			s.online(0)
			s.hub.Close()
			require.Eventually(t, func() bool { return len(reached) == 2 }, patience, time.Millisecond)
			for range 2 {
				require.NotContains(t, <-reached, "%00")
			}
			require.Empty(t, reached)
		})
	}
}

// (Invariant 4, with Gin.)
func TestGinWithinAGrant(t *testing.T) {
	hub := newHub(t)
	r := gin.New()
	r.GET("/events", func(c *gin.Context) {
		serve.ServeGrant(c, hub, serve.Grant{User: "u1", Read: patterns(t, "news.*")})
	})
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	t.Cleanup(hub.Close)
	s := &site{t: t, hub: hub, server: server, client: server.Client(), url: server.URL}
	require.Equal(t, http.StatusForbidden, s.open("topic=prices").resp.StatusCode)
	st := s.open("topic=news.1")
	require.Equal(t, http.StatusOK, st.resp.StatusCode)
	s.online(1)
	require.NoError(t, hub.Push(nil, &wire.Event{Data: "hidden", Topic: "news.2"}, &wire.Event{Data: "seen", Topic: "news.1"}))
	st.expect("seen")
}

// Gin's writer claims to be a Hijacker whatever it wraps: unit tests with a
// recorder must not panic.
func TestGinWithRecorder(t *testing.T) {
	hub := newHub(t)
	rec := httptest.NewRecorder()
	c, _ := gin.CreateTestContext(rec)
	ctx, cancel := context.WithCancel(context.Background())
	c.Request = httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve.Serve(c, hub, "u1")
	}()
	require.Eventually(t, func() bool { return hub.OnlineClientsNum() == 1 }, patience, time.Millisecond)
	cancel()
	wait(t, done, "Serve runs on after its request")
	require.Equal(t, greeting, rec.Body.String())
}
