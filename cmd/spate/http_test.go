package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
)

// A body that does not arrive is not waited for, on routes that want none either: the server reads what it has not
// asked for before it takes the next request.
func TestABodyThatNeverEndsHoldsNoConnection(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	hub := engine.NewHub(engine.WithLogger(log))
	defer hub.Close()
	server := newServer(&serveConfig{}, hub, &statsSource{hub: hub}, log)
	require.Equal(t, readTimeout, server.ReadTimeout)
	server.ReadTimeout = 50 * time.Millisecond // sooner
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	for _, request := range []string{"POST /push", "POST /stats", "GET /stats", "PUT /nowhere"} {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		_, err = fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", request)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, c)
		require.NoError(t, err, "%s: the connection is not closed", request)
		c.Close()
	}
	require.NoError(t, server.Close())
	<-served
}
