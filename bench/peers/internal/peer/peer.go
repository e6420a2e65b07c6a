//go:build linux

// Package peer makes other Go libraries for Server-Sent Events into servers under test. Each is set up at its best for
// the work at hand: buffers as large as the work fills, no logging, no compression, no heartbeats where they can be
// switched off. What that means for each is said beside it.
package peer

import (
	"io"
	"log"
	"net"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/loadtest/stamp"
)

// Peer is a library under test.
type Peer struct {
	Name   string // in the table and on the command line
	Module string // path of its module; "" for what is written here
	Make   server.Factory
}

// All lists the peers in the table's order.
func All() []Peer {
	return []Peer{
		{"sponge", "github.com/go-dev-frame/sponge", newSponge},
		{"r3labs", "github.com/r3labs/sse/v2", newR3labs},
		{"go-sse", "github.com/tmaxmax/go-sse", newGoSSE},
		{"eventsource", "github.com/launchdarkly/eventsource", newEventsource},
		{"centrifuge", "github.com/centrifugal/centrifuge", newCentrifuge},
		{"mercure", "github.com/dunglas/mercure", newMercure},
		{"gin-channel", "", newGinChannel},
	}
}

// serveHTTP serves a peer's handler without any limit of time and without logging.
func serveHTTP(ln net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	return s.Serve(ln)
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

func (i *ids) next() string {
	i.last++
	return strconv.FormatUint(i.last, 10)
}

// buffer is how many events a library's queue for one client should hold: its own default, or as many as the work lets
// wait.
func buffer(o server.Options, otherwise int) int { return max(o.Burst, otherwise) }

// Catalog is the peers and our own servers by name.
func Catalog() server.Catalog {
	c := server.Ours()
	for _, p := range All() {
		c[p.Name] = p.Make
	}
	return c
}
