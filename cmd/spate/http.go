package main

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/spatehub/spate/cmd/spate/internal/dashboard"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist/pebblelog"
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
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // peers that break off, mostly
	}
}

// maxHeader has room for the topics that one connection may follow, of the longest names, where these need no escapes.
// Beyond it net/http itself answers, 431 in plain text.
const maxHeader = 320 << 10

func routes(c *serveConfig, hub *engine.Hub, stats *statsSource) http.Handler {
	page := dashboard.Handler()
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page)
	mux.Handle("GET /ui/", page)
	mux.Handle("GET /events", serve.Handler(hub, c.identify(), serve.WithRetry(c.retry), serve.WithMaxConns(c.maxConns),
		serve.WithDescriptorReserve(c.descriptors()), serve.WithLater(c.later)))
	mux.Handle("POST /push", withoutQuery(serve.PushHandler(hub, serve.WithPushBodyLimit(bodyLimit(c.maxEvent)))))
	mux.HandleFunc("GET /stats", stats.serveStats)
	mux.Handle("GET /metrics", serve.MetricsHandler(hub))
	mux.HandleFunc("GET /healthz", stats.serveHealth)
	if l, onDisk := stats.log.(*pebblelog.Log); onDisk && c.backupDir != "" {
		mux.HandleFunc("POST /backup", (&backups{dir: c.backupDir, log: l}).serveBackup)
	}
	return problems(mux)
}

// withoutQuery refuses parameters of a push: a user who is named there would be passed over, and everyone get the event.
func withoutQuery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			refuse(w, http.StatusBadRequest, "query", "a push takes no parameters: uids stand in the body, and topics in its events")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// problems answers what no route is for, or not with that method, in the form of all other errors.
func problems(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		own := statusOnly{header: http.Header{}, status: http.StatusOK}
		h.ServeHTTP(&own, r)
		if own.status == http.StatusMethodNotAllowed {
			allow := own.header.Get("Allow")
			w.Header().Set("Allow", allow+", OPTIONS")
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			serve.WriteError(w, &serve.Error{Status: own.status, Message: "method " + strconv.Quote(r.Method) + " is not allowed here, but " + allow})
			return
		}
		serve.WriteError(w, &serve.Error{Status: http.StatusNotFound, Message: "there is nothing here; streams are at /events, pushes at /push"})
	})
}

// statusOnly is a ResponseWriter that keeps the status and header of an answer alone.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) Write(p []byte) (int, error) { return len(p), nil }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }

// bodyLimit leaves room for a largest event whose every byte is escaped in JSON (six bytes for one), with the fields
// around it, and for a batch of small ones.
func bodyLimit(maxEvent sizeValue) int64 { return 1<<20 + 6*int64(maxEvent) }
