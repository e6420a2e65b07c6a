package main

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/spatehub/spate/cmd/spate/internal/dashboard"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve"
)

// readTimeout is how long a request may take to arrive, of whatever route: a body that never ends would hold its
// connection for ever.
const readTimeout = 30 * time.Second

// newServer returns the hub's HTTP server. ReadTimeout is for bodies: serve lifts it for streams. It sets no
// WriteTimeout: streams have none, and the answers of the other routes are small.
func newServer(c *serveConfig, hub *engine.Hub, stats *statsSource, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           guard(routes(c, hub, stats)),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       readTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // peers that break off, mostly
	}
}

func routes(c *serveConfig, hub *engine.Hub, stats *statsSource) http.Handler {
	page := dashboard.Handler()
	mux := http.NewServeMux()
	mux.Handle("/{$}", page)
	mux.Handle("/ui/", page)
	mux.Handle("GET /events", serve.Handler(hub, c.identify(), serve.WithRetry(c.retry), serve.WithMaxConns(c.maxConns)))
	mux.Handle("POST /push", serve.PushHandler(hub, serve.WithPushBodyLimit(bodyLimit(c.maxEvent))))
	mux.HandleFunc("GET /stats", stats.serveStats)
	mux.Handle("GET /metrics", serve.MetricsHandler(hub))
	mux.HandleFunc("GET /healthz", stats.serveHealth)
	return mux
}

// bodyLimit leaves room for a largest event whose every other byte is escaped in JSON, and for a batch of small ones.
func bodyLimit(maxEvent sizeValue) int64 { return max(1<<20, 2*int64(maxEvent)) }
