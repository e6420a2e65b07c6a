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
	"github.com/spatehub/spate/serve/metrics"
	"github.com/spatehub/spate/serve/stream"
)

// readTimeout is how long a request may take to arrive, of whatever route: a body that never ends would hold its
// connection for ever.
const readTimeout = 30 * time.Second

// writeTimeout is how long an answer may take to be made and taken, from the request's head on: a peer that asks and takes
// no byte would hold its connection for ever. It is longer than a body may take to come and a push to wait.
const writeTimeout = 2 * time.Minute

// pingTimeout is how long a peer of HTTP/2 may take to answer a ping.
const pingTimeout = 15 * time.Second

// newServer returns the hub's HTTP server. ReadTimeout and WriteTimeout are for what ends: serve lifts them for streams, and
// backups for themselves. A connection of HTTP/2, on which time-outs are those of its requests, is watched as streams are: it
// is closed once its peer has taken no byte, or was silent and answers no ping, for the stall time-out.
func newServer(c *serveConfig, hub *engine.Hub, a *access, stats *statsSource, p parts, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           stream.ReadRest(guard(a, routes(c, hub, a, stats, p))),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ConnState:         a.gate.ConnState,
		HTTP2:             &http.HTTP2Config{WriteByteTimeout: c.stall, SendPingTimeout: c.stall, PingTimeout: pingTimeout},
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // peers that break off, mostly

		DisableGeneralOptionsHandler: true, // nothing is answered before the guard
	}
}

// maxHeader has room for the topics that one connection may follow, of the longest names, where these need no escapes.
// Beyond it net/http itself answers, 431 in plain text.
const maxHeader = 320 << 10

// parts is what the routes act upon, beside the hub.
type parts struct {
	drain  *drainer
	once   *stream.Once // nil: no keys are taken
	past   *overview.History
	board  *settingsBoard
	rates  *topicRates
	former *formerTopics
}

func routes(c *serveConfig, hub *engine.Hub, a *access, stats *statsSource, p parts) http.Handler {
	page := a.page(dashboard.Handler())
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page)
	mux.Handle("GET /ui/", page)
	options := []stream.Option{
		stream.WithGate(a.gate), stream.WithSource(a.source), stream.WithPeers(a.address), stream.WithQuery(a.query...), stream.WithMaxTopics(c.limits.topics),
		stream.WithRetry(c.retry), stream.WithDescriptorReserve(c.descriptors()), stream.WithLater(c.later),
	}
	if !a.open { // else no grant can be revoked
		options = append(options, stream.WithSessions(&a.sessions))
	}
	mux.Handle("GET /events", stream.Authorized(hub, a.authorize, options...))
	mux.Handle("POST /push", withoutQuery(stream.AuthorizedPush(hub, a.authorize, stream.WithPushGate(a.gate), stream.WithPushSource(a.source), stream.WithPushBodyLimit(bodyLimit(c.maxEvent)), stream.WithPushMemory(int64(c.limits.pushMemory)), stream.WithPushOnce(p.once))))
	if a.tickets != nil {
		mux.Handle("POST /tickets", a.ticketOffice())
	}
	mux.Handle("GET /stats", a.admin(a.withoutParameters(http.HandlerFunc(stats.serveStats))))
	mux.Handle("GET /overview", a.admin(&overviewRoute{stats, p.past, tokenQuery(c)}))
	mux.Handle("GET /topics", a.admin(&topicsRoute{hub, p.rates, p.former, tokenQuery(c)}))
	mux.Handle("GET /settings", a.admin(a.withoutParameters(p.board)))
	mux.Handle("GET /grant", a.caller(a.serveGrant))
	mux.Handle("GET /metrics", a.admin(a.withoutParameters(metrics.Handler(hub, metrics.WithTopics(shownTopics)))))
	mux.HandleFunc("GET /healthz", stats.serveHealth)
	mux.HandleFunc("GET /readyz", p.drain.serveReady)
	mux.Handle("GET /openapi.json", a.caller(func(w http.ResponseWriter, r *http.Request, _ stream.Grant) { openapi.Handler().ServeHTTP(w, r) }))
	routes := p.api(c, hub, a)
	if stats.cluster != nil {
		routes.Peers, stats.cluster.answer = stats.cluster, routes.Answer
	}
	routes.Register(mux)
	mux.Handle("GET /cluster", a.admin(a.withoutParameters(http.HandlerFunc(stats.serveCluster))))
	if l, onDisk := stats.log.(*pebblelog.Log); onDisk && c.backupDir != "" {
		mux.Handle("POST /backup", a.admin(http.HandlerFunc((&backups{dir: c.backupDir, log: l, query: tokenQuery(c)}).serveBackup)))
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
			stream.WriteError(w, &stream.Error{Status: own.status, Message: "method " + strconv.Quote(r.Method) + " is not allowed here, but " + allow})
			return
		}
		stream.WriteError(w, &stream.Error{Status: http.StatusNotFound, Message: "there is nothing here; streams are at /events, pushes at /push"})
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
