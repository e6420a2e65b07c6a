//go:build linux

package peer

import (
	"os"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/internal/others"
	"github.com/spatehub/spate/serve/stream"
)

// Peer is a server under test.
type Peer struct {
	Name   string // in the table and on the command line
	Module string // path of its module, for a library that is built in
	What   string // what it is, if that does not say it
	Make   server.Factory
	Needs  func() error // why it is not there on this machine; nil: it is
	Cannot map[Ability]string
}

// Ability is what a work may need of a server.
type Ability string

// The abilities that not all servers have.
const (
	Resume Ability = "resume" // streams go on after the event that they had last
	TLS    Ability = "TLS"
	Gzip   Ability = "gzip"
)

// All lists the peers in the table's order.
func All() []Peer {
	gone := map[Ability]string{Resume: "keeps nothing"}
	return []Peer{
		{Name: "sponge", Module: "github.com/go-dev-frame/sponge", Make: newSponge},
		{Name: "r3labs", Module: "github.com/r3labs/sse/v2", Make: newR3labs},
		{Name: "go-sse", Module: "github.com/tmaxmax/go-sse", Make: newGoSSE},
		{Name: "eventsource", Module: "github.com/launchdarkly/eventsource", Make: newEventsource},
		{Name: "centrifuge", Module: "github.com/centrifugal/centrifuge", Make: newCentrifuge},
		{Name: "mercure", Module: "github.com/dunglas/mercure", Make: newMercure},
		{Name: "gin-channel", What: "a handler by hand on Gin", Make: newGinChannel, Cannot: gone},
		{Name: "spate-hub", What: "`spate serve --memory`, a process", Make: newHub, Needs: needsHub},
		{Name: "centrifugo", What: "Centrifugo's server, a process", Make: newCentrifugo, Needs: func() error { _, err := others.Centrifugo(); return err },
			Cannot: map[Ability]string{Gzip: "its SSE transport does not compress"}},
		{Name: "mercure-http", What: "Mercure's hub over net/http, a process", Make: newMercureHub},
		{Name: "nchan", What: "nginx with nchan, a process", Make: newNchan, Needs: func() error { _, err := others.Nchan(); return err },
			Cannot: map[Ability]string{Gzip: "its responses pass nginx's gzip by"}},
	}
}

// Processes are the names of those peers that are processes of their own.
func Processes() []string { return []string{"spate-hub", "centrifugo", "mercure-http", "nchan"} }

// Cannot returns why a server cannot do a work that needs an ability, "" if it can.
func Cannot(name string, needs Ability) string {
	if (name == "spate" || name == "spate-uring") && needs == Resume {
		return "has no log here, as spate-log has"
	}
	p, _ := named(name)
	return p.Cannot[needs]
}

// Needs returns why a server is not on this machine, nil if it is.
func Needs(name string) error {
	if name == "spate-uring" {
		w, err := stream.IOUring()
		if err == nil {
			w.Close()
		}
		return err
	}
	if p, ok := named(name); ok && p.Needs != nil {
		return p.Needs()
	}
	return nil
}

func named(name string) (Peer, bool) {
	for _, p := range All() {
		if p.Name == name {
			return p, true
		}
	}
	return Peer{}, false
}

// needsHub reports that no hub has been built yet.
func needsHub() error {
	_, err := os.Stat(os.Getenv(HubVar))
	return err
}
