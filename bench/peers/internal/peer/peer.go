//go:build linux

// Package peer makes others that send Server-Sent Events into servers under test: Go libraries within the process that
// publishes, and servers as processes of their own, published to over HTTP. Each is set up at its best for the work at
// hand: buffers as large as the work fills, no logging, no compression unless it is asked for, no heartbeats where they
// can be switched off. What that means for each is said beside it, and what it cannot do in the list of all.
package peer

import (
	"io"
	"log"
	"net"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzhttp"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// serveHTTP serves a peer's handler without any limit of time and without logging.
func serveHTTP(ln net.Listener, o server.Options, h http.Handler) error {
	s := &http.Server{Handler: coded(o, h), ErrorLog: log.New(io.Discard, "", 0)}
	return s.Serve(ln)
}

// coded puts a handler behind the usual middleware for gzip if that is asked for: none of the libraries codes by itself.
func coded(o server.Options, h http.Handler) http.Handler {
	if !o.Gzip {
		return h
	}
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(0), gzhttp.ContentTypes([]string{"text/event-stream"}))
	if err != nil {
		panic(err) // of options that are constant
	}
	return wrap(h)
}

// newGin is Gin without its middleware.
func newGin() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	return gin.New()
}

// channelOf is the name of an audience, for libraries that know channels, topics or streams only.
func channelOf(kind stamp.Kind, index uint32) string {
	switch kind {
	case stamp.User:
		return server.Name('u', index)
	case stamp.Topic:
		return server.Name('t', index)
	}
	return everyone
}

const everyone = "all"

// channelParameter is the value of a query parameter that names the audience a stream belongs to.
func channelParameter(kind stamp.Kind) string {
	switch kind {
	case stamp.User:
		return "u{n}"
	case stamp.Topic:
		return "t{t}"
	}
	return everyone
}

// channels returns the names of all audiences that a server made for o can meet.
func channels(o server.Options) []string {
	list := []string{everyone}
	for i := range o.Conns {
		list = append(list, server.Name('u', uint32(i)))
	}
	for i := range o.Topics {
		list = append(list, server.Name('t', uint32(i)))
	}
	return list
}

// ids numbers events, for libraries that leave that to the caller. Spate's are decimal numbers as well.
type ids struct{ last uint64 }

// position is the last one, "" if there was none.
func (i *ids) position() string {
	if i.last == 0 {
		return ""
	}
	return strconv.FormatUint(i.last, 10)
}

func (i *ids) next() string {
	i.last++
	return strconv.FormatUint(i.last, 10)
}

// buffer is how many events a library's queue for one client should hold: its own default, or as many as the work lets
// wait.
func buffer(o server.Options, otherwise int) int { return max(o.Burst, otherwise) }

// greeted sends the head and a comment before a handler that sends nothing until its first event: behind the middleware,
// its head would wait for that.
func greeted(o server.Options, h http.Handler) http.Handler {
	if !o.Gzip {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, ":\n")
		_ = http.NewResponseController(w).Flush()
		h.ServeHTTP(w, r)
	})
}

// kept is how many events a library keeps for those that resume.
const kept = 10_000

// Catalog is the peers and our own servers by name.
func Catalog() server.Catalog {
	c := server.Ours()
	for _, p := range All() {
		c[p.Name] = p.Make
	}
	return c
}
