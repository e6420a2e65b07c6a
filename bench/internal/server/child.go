//go:build linux

package server

import (
	"bytes"
	"errors"

	"github.com/spatehub/spate/bench/internal/proc"
	"github.com/spatehub/spate/loadtest/stamp"
)

// Part is the name of this part for proc.Start.
const Part = "server"

// Setup is what the process of a server is started with.
type Setup struct {
	Server   string `json:"server"`
	LoadCPU  int    `json:"load_cpu"` // processor of the load, where a process goes that only publishes
	Progress string `json:"progress"` // file of the word with the streams' progress
	Options
}

// Request asks one thing of the process of a server.
type Request struct {
	Publish *Run       `json:"publish,omitempty"`
	Usage   *UsageKind `json:"usage,omitempty"`
	Info    *InfoKind  `json:"info,omitempty"`
	Fill    *Fill      `json:"fill,omitempty"`
}

// Fill sends events to the stalled streams alone.
type Fill struct {
	Events int `json:"events"`
	Size   int `json:"size"` // bytes of each
}

// fillTopic is followed by stalled streams and by no others.
const fillTopic = 1 << 30

// UsageKind says how to take the usage.
type UsageKind struct {
	Settle bool `json:"settle"` // after garbage collection, once the resident size is steady
}

// InfoKind says for which kind of events the information is wanted.
type InfoKind struct {
	Kind byte `json:"kind"`
}

// Info is what the reader has to know about the server.
type Info struct {
	Port        int                `json:"port"`
	Path        string             `json:"path"`
	StalledPath string             `json:"stalled_path"`     // the same for stalled streams
	Secret      string             `json:"secret,omitempty"` // see [Guarded]
	Position    string             `json:"position"`         // Last-Event-ID of a client that has everything; "" = none
	Counters    map[string]float64 `json:"counters"`
}

// Main is the process of a server. It returns when the parent hangs up.
func Main(c Catalog) error {
	var setup Setup
	if err := proc.Setup(&setup); err != nil {
		return err
	}
	progress, err := proc.OpenShared(setup.Progress)
	if err != nil {
		return err
	}
	h, err := c.start(setup)
	if err != nil {
		return err
	}
	defer h.close()
	pub, err := newPublisher(h.srv, progress)
	if err != nil {
		return err
	}
	return proc.Serve(func(r Request) (any, error) {
		switch {
		case r.Publish != nil:
			return pub.publish(*r.Publish)
		case r.Usage != nil:
			return h.used(r.Usage.Settle)
		case r.Fill != nil:
			return struct{}{}, fill(h.srv, *r.Fill)
		case r.Info != nil:
			return h.info(r.Info.Kind), nil
		}
		return nil, errors.New("an empty request")
	})
}

// info is what the reader has to know of the server.
func (h *host) info(kind byte) Info {
	srv := h.srv
	info := Info{Port: h.port, Path: DefaultPath(stamp.Kind(kind))}
	if p, ok := srv.(Pather); ok {
		info.Path = p.Path(stamp.Kind(kind))
	}
	info.StalledPath = info.Path + "&topic=" + Name('t', fillTopic)
	if p, ok := srv.(Positioner); ok {
		info.Position = p.Position()
	}
	if g, ok := srv.(Guarded); ok {
		info.Secret = g.Secret()
	}
	if c, ok := srv.(Counter); ok {
		info.Counters = c.Counters()
	}
	return info
}

func fill(srv Server, f Fill) error {
	data := bytes.Repeat([]byte{'x'}, f.Size)
	for range f.Events {
		if err := srv.Publish(stamp.Topic, fillTopic, data); err != nil {
			return err
		}
	}
	return nil
}
