//go:build linux

package rawtls_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/serve/stream/internal/rawtls"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a connection of a Listener and its client.
func pair(tb testing.TB) (server, client *tls.Conn) {
	tb.Helper()
	lender := httptest.NewTLSServer(nil)
	config := lender.TLS.Clone()
	lender.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	defer l.Close()
	dialled := make(chan *tls.Conn, 1)
	go func() {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			c = nil
		}
		dialled <- c
	}()
	c, err := rawtls.Listener(l, config).Accept()
	require.NoError(tb, err)
	server = c.(*tls.Conn)
	require.NoError(tb, server.Handshake())
	client = <-dialled
	require.NotNil(tb, client)
	tb.Cleanup(func() { client.Close() })
	return server, client
}

// room is told that there is room.
type room chan struct{}

func (r room) Hangup(error) {}
func (r room) Writable() {
	select {
	case r <- struct{}{}:
	default:
	}
}

func take(tb testing.TB) (*rawtls.Stream, room) {
	server, client := pair(tb)
	s, err := rawtls.Take(server, time.Minute)
	require.NoError(tb, err)
	r := make(room, 1)
	s.Watch(r)
	tb.Cleanup(func() { s.Close(true) })
	go func() { _, _ = io.Copy(io.Discard, client) }()
	return s, r
}

// writeAll waits for room as a shard does: by being told of it.
func writeAll(s *rawtls.Stream, r room, frame []byte) {
	for {
		n, err := s.Write(frame)
		if err != nil {
			panic(err)
		}
		if frame = frame[n:]; len(frame) == 0 {
			return
		}
		<-r
	}
}

// A tls.Conn that is not over a connection of ours stays as it is.
func TestTakeOfOthers(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	_, err := rawtls.Take(tls.Server(a, &tls.Config{}), 0)
	require.Error(t, err)
}

// A write beside a bare write to a tls.Conn over package net.
func BenchmarkWrite(b *testing.B) {
	frame := make([]byte, 240)
	b.Run("conn=net", func(b *testing.B) {
		server, client := pair(b)
		go func() { _, _ = io.Copy(io.Discard, client) }()
		for b.Loop() {
			if _, err := server.Write(frame); err != nil {
				b.Fatal(err)
			}
		}
		server.Close()
	})
	b.Run("conn=rawtls", func(b *testing.B) {
		s, room := take(b)
		for b.Loop() {
			writeAll(s, room, frame)
		}
	})
}
