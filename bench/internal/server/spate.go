//go:build linux

package server

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/spatehub/spate/compress"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/loadtest/stamp"
	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/serve"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// spate is a hub behind plain Gin, as an application would run it.
type spate struct {
	hub    *engine.Hub
	logged bool
	event  wire.Event
	uid    [1]string
}

func newSpate(o Options) (Server, error) {
	return &spate{hub: engine.NewHub(options(o)...)}, nil
}

// newSpateLog is spate with the log on, in sync.
func newSpateLog(o Options) (Server, error) {
	l, err := pebblelog.Open(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return &spate{hub: engine.NewHub(append(options(o), engine.WithLog(l), engine.WithEnableResendEvents())...), logged: true}, nil
}

// newSpateURing is spate whose events go to the kernel many at a time.
func newSpateURing(o Options) (Server, error) {
	probe, err := stream.IOUring()
	if err != nil {
		return nil, err
	}
	probe.Close()
	return &spate{hub: engine.NewHub(append(options(o), engine.WithBatchWriter(stream.IOUring))...)}, nil
}

// options are those of every hub here.
func options(o Options) []engine.HubOption {
	list := []engine.HubOption{quiet()}
	if o.Gzip {
		list = append(list, engine.WithEncodings(new(compress.Zstd), new(compress.Gzip)))
	}
	return list
}

// Secure implements [Secured].
func (*spate) Secure(ln net.Listener, config *tls.Config) net.Listener {
	return stream.NewTLSListener(ln, config)
}

func quiet() engine.HubOption { return engine.WithLogger(slog.New(slog.DiscardHandler)) }

// Serve implements [Server].
func (s *spate) Serve(ln net.Listener) error {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.GET("/events", func(c *gin.Context) {
		serve.Serve(c, s.hub, c.Query("uid"), serve.WithTopics(c.QueryArray("topic")...))
	})
	srv := &http.Server{Handler: r, ErrorLog: log.New(io.Discard, "", 0)}
	return srv.Serve(ln)
}

// Publish implements [Server].
func (s *spate) Publish(kind stamp.Kind, index uint32, data []byte) error {
	s.event = wire.Event{Event: "message", Data: data}
	var uids []string
	switch kind {
	case stamp.User:
		s.uid[0] = Name('u', index)
		uids = s.uid[:]
	case stamp.Topic:
		s.event.Topic = Name('t', index)
	}
	if !s.logged {
		return s.hub.Push(uids, &s.event)
	}
	// Push would make the schedule wait for the disk; the streams see events no earlier for PushAsync.
	_, err := s.hub.PushAsync(uids, &s.event)
	return err
}

// Position implements [Positioner].
func (s *spate) Position() string { return wire.FormatID(s.hub.LastID()) }

// Counters implements [Counter].
func (s *spate) Counters() map[string]float64 {
	n := s.hub.Stats()
	return map[string]float64{
		"clients": float64(n.Clients), "delivered": float64(n.Delivered), "dropped": float64(n.Dropped),
		"timed out": float64(n.TimedOut), "failed": float64(n.Failed), "behind": float64(n.Behind),
		"resent": float64(n.Resent), "gaps": float64(n.Gaps), "stalled": float64(n.Stalled), "pending": float64(n.Pending),
	}
}

// Name is what a user or topic is called in requests and events: the letter and the number.
func Name(letter byte, index uint32) string {
	return string(strconv.AppendUint([]byte{letter}, uint64(index), 10))
}
