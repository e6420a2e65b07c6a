package main

import (
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/spatehub/spate/cmd/spate/internal/dashboard"
	"github.com/spatehub/spate/cmd/spate/internal/openapi"
	"github.com/spatehub/spate/cmd/spate/internal/overview"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/serve"
	"github.com/spatehub/spate/serve/stream"
)

// readTimeout is how long a request may take to arrive, of whatever route: a body that never ends would hold its
// connection for ever.
const readTimeout = 30 * time.Second

// newServer returns the hub's HTTP server. ReadTimeout is for bodies: serve lifts it for streams. It sets no
// WriteTimeout: streams have none, the API bounds its own answers, and those of the other routes are small or an
// administrator's.
func newServer(c *serveConfig, hub *engine.Hub, a *access, stats *statsSource, p parts, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           guard(a, routes(c, hub, a, stats, p)),
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

// parts is what the routes act upon, beside the hub.
type parts struct {
	drain *drainer
	once  *stream.Once // nil: no keys are taken
	past  *overview.History
	board *settingsBoard
	rates *topicRates
}

func routes(c *serveConfig, hub *engine.Hub, a *access, stats *statsSource, p parts) http.Handler {
	page := a.page(dashboard.Handler())
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page)
	mux.Handle("GET /ui/", page)
	options := []serve.ServeOption{
		serve.WithGate(a.gate), serve.WithSource(a.source), stream.WithPeers(a.address), serve.WithQuery(a.query...), serve.WithMaxTopics(c.limits.topics),
		serve.WithRetry(c.retry), serve.WithDescriptorReserve(c.descriptors()), serve.WithLater(c.later),
	}
	if !a.open { // else no grant can be revoked
		options = append(options, serve.WithSessions(&a.sessions))
	}
	mux.Handle("GET /events", serve.Authorized(hub, a.authorize, options...))
	mux.Handle("POST /push", withoutQuery(serve.AuthorizedPush(hub, a.authorize, serve.WithPushGate(a.gate), serve.WithPushBodyLimit(bodyLimit(c.maxEvent)), serve.WithPushMemory(int64(c.limits.pushMemory)), stream.WithPushOnce(p.once))))
	if a.tickets != nil {
		mux.Handle("POST /tickets", a.ticketOffice())
	}
	mux.Handle("GET /stats", a.admin(a.withoutParameters(http.HandlerFunc(stats.serveStats))))
	mux.Handle("GET /overview", a.admin(&overviewRoute{stats, p.past, tokenQuery(c)}))
	mux.Handle("GET /topics", a.admin(&topicsRoute{hub, p.rates, tokenQuery(c)}))
	mux.Handle("GET /settings", a.admin(a.withoutParameters(p.board)))
	mux.Handle("GET /grant", a.caller(a.serveGrant))
	mux.Handle("GET /metrics", a.admin(serve.MetricsHandler(hub, serve.WithMetricTopics(shownTopics))))
	mux.HandleFunc("GET /healthz", stats.serveHealth)
	mux.HandleFunc("GET /readyz", p.drain.serveReady)
	mux.Handle("GET /openapi.json", a.caller(func(w http.ResponseWriter, r *http.Request, _ serve.Grant) { openapi.Handler().ServeHTTP(w, r) }))
	routes := p.api(c, hub, a)
	if stats.cluster != nil {
		routes.Peers, stats.cluster.answer = stats.cluster, routes.Answer
	}
	routes.Register(mux)
	mux.Handle("GET /cluster", a.admin(a.withoutParameters(http.HandlerFunc(stats.serveCluster))))
	if l, onDisk := stats.log.(*pebblelog.Log); onDisk && c.backupDir != "" {
		mux.Handle("POST /backup", a.admin(http.HandlerFunc((&backups{dir: c.backupDir, log: l}).serveBackup)))
	}
	return problems(a, mux)
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
// Strangers are not told which routes there are.
func problems(a *access, mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" && !redirects(r.URL.EscapedPath(), pattern) {
			mux.ServeHTTP(w, r)
			return
		}
		if _, ok := a.admit(w, r, a.required); !ok {
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

// redirects says whether the mux would send the client elsewhere, which tells whoever asks that there is a route: to the
// path without empty and dotted elements, or with a slash at its end.
func redirects(asked, pattern string) bool {
	clean := path.Clean("/" + asked)
	if strings.HasSuffix(asked, "/") && clean != "/" {
		clean += "/"
	}
	return asked != clean || strings.HasSuffix(pattern, asked+"/")
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
