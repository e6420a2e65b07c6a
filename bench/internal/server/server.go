//go:build linux

// Package server runs servers under test: each in a process of its own, which publishes by itself on command, so that
// its processor time holds nothing but serving. The bare write loops that all others are compared with are here, and
// spate; bench/peers adds other libraries.
package server

import (
	"crypto/tls"
	"fmt"
	"net"

	"github.com/spatehub/spate/loadtest/stamp"
)

// Server is one server under test.
type Server interface {
	// Serve takes connections from ln until the process ends.
	Serve(ln net.Listener) error

	// Publish sends one event: to everyone, to user index or to topic index. The data is the caller's again afterwards.
	// One goroutine calls it.
	Publish(kind stamp.Kind, index uint32, data []byte) error
}

// Flusher is a Server that has to be told that the publisher will pause.
type Flusher interface {
	// Flush sends what is waiting as far as the sockets take it, and reports whether anything is left.
	Flush() (pending bool)
}

// Drainer is a Server that takes events before they are published.
type Drainer interface {
	// Drain waits until all that it has taken are.
	Drain()
}

// Pather is a Server whose streams are not at DefaultPath.
type Pather interface {
	// Path is the target of a stream's request for events of one kind; {n} stands for the stream's number, which is its
	// user's, {t} for its topic's, and {last} for the position that it resumes from, escaped, "" if it is a new one.
	Path(kind stamp.Kind) string
}

// Positioner is a Server whose streams can be resumed.
type Positioner interface {
	// Position is the Last-Event-ID of a client that has all events so far.
	Position() string
}

// Guarded is a Server that takes streams with a JWT alone, as a bearer's: HS256, with the user of the stream as its
// subject.
type Guarded interface {
	// Secret is what signs them.
	Secret() string
}

// Outside is a Server that is a process of its own: this one only publishes to it. It opens no listener for it, and
// moves to the processor of the load once the server is there.
type Outside interface {
	// PID is the process whose time and memory count.
	PID() int

	// Port is where the process takes streams.
	Port() int

	// Close ends the process.
	Close()
}

// Secured is a Server with a TLS listener of its own; others get that of crypto/tls.
type Secured interface {
	// Secure makes ln a listener for TLS.
	Secure(ln net.Listener, config *tls.Config) net.Listener
}

// Counter is a Server that can tell how it fared.
type Counter interface {
	// Counters returns figures of its own by name; they are printed, not compared.
	Counters() map[string]float64
}

// DefaultPath says in the query who asks and which topic is followed.
func DefaultPath(kind stamp.Kind) string {
	if kind == stamp.Topic {
		return "/events?uid=u{n}&topic=t{t}"
	}
	return "/events?uid=u{n}"
}

// Options is what a server is made for.
type Options struct {
	Conns  int    `json:"conns"`  // streams that will be opened
	Burst  int    `json:"burst"`  // events that may be waiting for one client at a time; 0 = few
	Topics int    `json:"topics"` // topics that will be followed, 0 = none
	Dir    string `json:"dir"`    // an empty folder, for servers with a log

	TLS     bool   `json:"tls,omitempty"`     // streams come over TLS
	Certs   string `json:"certs"`             // folder with CertFile and KeyFile, if so
	Gzip    bool   `json:"gzip,omitempty"`    // streams ask for it
	History bool   `json:"history,omitempty"` // streams resume: events have to be kept
}

// The files of the certificate in Options.Certs.
const (
	CertFile = "cert.pem"
	KeyFile  = "key.pem"
)

// Factory makes one server.
type Factory func(Options) (Server, error)

// Catalog holds servers by name.
type Catalog map[string]Factory

// Ours are the bare loops and spate.
func Ours() Catalog {
	return Catalog{
		"floor-go":                   func(Options) (Server, error) { return newFloor(false), nil },
		"floor-batch-go":             func(Options) (Server, error) { return newFloor(true), nil },
		"floor-go" + SameBytes:       func(Options) (Server, error) { return newChunkedFloor(false), nil },
		"floor-batch-go" + SameBytes: func(Options) (Server, error) { return newChunkedFloor(true), nil },
		Schedule:                     func(Options) (Server, error) { return schedule{}, nil },
		"spate":                      newSpate,
		"spate-log":                  newSpateLog,
		"spate-uring":                newSpateURing,
		"spate-guarded":              newGuarded,
	}
}

// SameBytes is what the names of bare loops end in that send just the bytes that spate does.
const SameBytes = "-same-bytes"

// Schedule is the name of a server that serves nothing: what it uses is the price of the publisher's schedule itself, of
// waking for each event. At 10,000 events a second to one stream each, that is more than sending them.
const Schedule = "schedule-only"

type schedule struct{}

func (schedule) Serve(ln net.Listener) error {
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		c.Close()
	}
}

func (schedule) Publish(stamp.Kind, uint32, []byte) error { return nil }

// open makes the named server.
func (c Catalog) open(name string, o Options) (Server, error) {
	f, ok := c[name]
	if !ok {
		return nil, fmt.Errorf("no server %q", name)
	}
	return f(o)
}
