//go:build linux

package server

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve"
	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/limit"
)

// guarded is spate as it is put on the internet: JWTs that may be revoked, limits for all, users and addresses, and
// metrics that somebody scrapes.
type guarded struct {
	spate
	streams http.Handler
}

const guardedSecret = "a secret of the benchmarks, and of nobody else"

func newGuarded(Options) (Server, error) {
	keys, err := auth.Secret([]byte(guardedSecret))
	if err != nil {
		return nil, err
	}
	authorize, err := auth.JWT(auth.JWTConfig{Keys: keys, Issuer: "https://id.example.com"})
	if err != nil {
		return nil, err
	}
	many := limit.Rate{PerSecond: 1e6}
	gate := limit.NewGate(limit.Config{
		All:      limit.Bounds{Connections: 1e6, Connects: many},
		User:     limit.Bounds{Connections: 10, Connects: limit.Rate{PerSecond: 100}},
		Addr:     limit.Bounds{Connections: 1e6, Connects: many},
		Requests: many,
	})
	g := &guarded{spate: spate{hub: engine.NewHub(quiet(), engine.WithTopicFigures(100), engine.WithCatchUpRate(100<<20))}}
	g.streams = serve.Authorized(g.hub, new(auth.Revocations).Guard(authorize), serve.WithGate(gate), serve.WithSessions(new(serve.Sessions)))
	return g, nil
}

// Secret implements [Guarded].
func (g *guarded) Secret() string { return guardedSecret }

// scrapeEvery is more often than Prometheus asks by default.
const scrapeEvery = 5 * time.Second

// Serve implements [Server].
func (g *guarded) Serve(ln net.Listener) error {
	metrics := serve.MetricsHandler(g.hub)
	go func() {
		for range time.Tick(scrapeEvery) {
			metrics.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/metrics", nil))
		}
	}()
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.GET("/events", gin.WrapH(g.streams))
	srv := &http.Server{Handler: r, ErrorLog: log.New(io.Discard, "", 0)}
	return srv.Serve(ln)
}
