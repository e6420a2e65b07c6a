package modestest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	gincors "github.com/gin-contrib/cors"
	gingzip "github.com/gin-contrib/gzip"
	ginsessions "github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimw "github.com/go-chi/chi/v5/middleware"
	chicors "github.com/go-chi/cors"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"
	echomw "github.com/labstack/echo/v4/middleware"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve"
	"github.com/spatehub/spate/serve/stream"
)

// chain is a framework with its usual middleware. Its handler serves /events, and
// /timed with a deadline for the request's context.
type chain struct {
	name    string
	handler func(hub *engine.Hub, opts ...stream.Option) http.Handler
}

// timeout is the deadline of /timed.
const timeout = 300 * time.Millisecond

var chains = []chain{
	{"net/http", bare},
	{"net/http, late headers", lateHeaders},
	{"net/http, scs", scsSessions},
	{"net/http, gzhttp", klauspost},
	{"gin", ginChain},
	{"echo", echoChain},
	{"chi", chiChain},
}

func bare(hub *engine.Hub, opts ...stream.Option) http.Handler {
	h := stream.Handler(hub, nil, opts...)
	mux := http.NewServeMux()
	mux.Handle("/events", h)
	mux.HandleFunc("/timed", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
	return mux
}

// late sets a header when the head is written.
type late struct{ http.ResponseWriter }

func (l late) WriteHeader(code int) {
	http.SetCookie(l.ResponseWriter, &http.Cookie{Name: "session", Value: "refreshed"})
	l.ResponseWriter.WriteHeader(code)
}
func (l late) Unwrap() http.ResponseWriter { return l.ResponseWriter }

func lateHeaders(hub *engine.Hub, opts ...stream.Option) http.Handler {
	inner := bare(hub, opts...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner.ServeHTTP(late{w}, r) })
}

func scsSessions(hub *engine.Hub, opts ...stream.Option) http.Handler {
	sessions := scs.New()
	inner := bare(hub, opts...)
	return sessions.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sessions.Put(r.Context(), "seen", true)
		inner.ServeHTTP(w, r)
	}))
}

func klauspost(hub *engine.Hub, opts ...stream.Option) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1))
	if err != nil {
		panic(err)
	}
	return wrap(bare(hub, opts...))
}

func ginChain(hub *engine.Hub, opts ...stream.Option) http.Handler {
	r := gin.New()
	r.Use(gin.LoggerWithWriter(io.Discard), gin.Recovery(),
		gincors.Default(), gingzip.Gzip(gingzip.DefaultCompression),
		ginsessions.Sessions("session", cookie.NewStore([]byte("secret"))),
		func(c *gin.Context) {
			s := ginsessions.Default(c)
			s.Set("seen", true)
			_ = s.Save()
		})
	events := func(c *gin.Context) { serve.Serve(c, hub, "", opts...) }
	r.GET("/events", events)
	r.GET("/timed", func(c *gin.Context) {
		ctx, cancel := context.WithTimeout(c.Request.Context(), timeout)
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
		c.Next()
	}, events)
	return r
}

func echoChain(hub *engine.Hub, opts ...stream.Option) http.Handler {
	e := echo.New()
	e.Use(echomw.Recover(), echomw.RequestID(), echomw.CORS(), echomw.Gzip(),
		echomw.RequestLoggerWithConfig(echomw.RequestLoggerConfig{LogStatus: true, LogLatency: true, LogResponseSize: true,
			LogValuesFunc: func(_ echo.Context, v echomw.RequestLoggerValues) error {
				_, err := fmt.Fprintln(io.Discard, v.Status, v.Latency, v.ResponseSize)
				return err
			}}))
	events := func(c echo.Context) error {
		c.Response().Before(func() { c.Response().Header().Set("X-Before", "set") })
		stream.Serve(c.Response(), c.Request(), hub, "", opts...)
		return nil
	}
	e.GET("/events", events)
	e.GET("/timed", events, echomw.ContextTimeout(timeout))
	return e
}

func chiChain(hub *engine.Hub, opts ...stream.Option) http.Handler {
	r := chi.NewRouter()
	r.Use(chimw.RequestID, chimw.RequestLogger(&chimw.DefaultLogFormatter{Logger: discard{}, NoColor: true}), chimw.Recoverer,
		chicors.AllowAll().Handler, chimw.Compress(5, "text/event-stream"))
	h := stream.Handler(hub, nil, opts...)
	r.Method(http.MethodGet, "/events", h)
	r.With(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), timeout)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}).Method(http.MethodGet, "/timed", h)
	return r
}

type discard struct{}

func (discard) Print(...any) {}
