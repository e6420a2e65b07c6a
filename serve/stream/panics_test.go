package stream_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// bursting is the writer of middleware that panics after some writes.
type bursting struct {
	http.ResponseWriter
	left int
}

func (b *bursting) Unwrap() http.ResponseWriter { return b.ResponseWriter }

func (b *bursting) Write(p []byte) (int, error) {
	if b.left--; b.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return b.ResponseWriter.Write(p)
}

// Where code around a stream panics, which the server survives, the stream leaves
// nothing: no connection in the hub, no session, nothing that the gate counts.
func TestPanicsAroundAStreamLeaveNothing(t *testing.T) {
	abort := func() { panic(http.ErrAbortHandler) }
	for name, tc := range map[string]struct {
		writes  int
		options []stream.Option
	}{
		"first write":       {0, []stream.Option{stream.WithPortable()}},
		"first with head":   {0, nil},
		"within the stream": {1, []stream.Option{stream.WithPortable()}},
		"WithSource":        {9, []stream.Option{stream.WithSource(func(*http.Request) string { abort(); return "" })}},
		"WithContext":       {9, []stream.Option{stream.WithContext(func(*http.Request) context.Context { abort(); return nil })}},
	} {
		t.Run(name, func(t *testing.T) {
			hub := engine.NewHub(engine.WithLogger(silent))
			defer hub.Close()
			gate := &countingGate{free: 1}
			var sessions stream.Sessions
			events := stream.Authorized(hub, func(*http.Request) (stream.Grant, error) { return stream.FullGrant("u"), nil },
				append(tc.options, stream.WithGate(gate), stream.WithSessions(&sessions))...)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				events.ServeHTTP(&bursting{w, tc.writes}, r)
			}))
			defer server.Close()
			resp, err := server.Client().Get(server.URL)
			if err == nil {
				if tc.writes == 1 {
					require.Eventually(t, func() bool { return hub.OnlineClientsNum() == 1 }, 20*time.Second, time.Millisecond)
					require.NoError(t, hub.Push(nil, &wire.Event{Data: "a"}))
				}
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			require.Error(t, err)
			require.Eventually(t, func() bool {
				return gate.room() == 1 && sessions.Len() == 0 && hub.OnlineClientsNum() == 0
			}, 20*time.Second, time.Millisecond)
		})
	}
}

// Handlers without a hub, or without who lets requests in, are not made: each of
// their requests would panic.
func TestHandlersOfNothing(t *testing.T) {
	hub := engine.NewHub(engine.WithLogger(silent))
	defer hub.Close()
	anybody := func(*http.Request) (stream.Grant, error) { return stream.FullGrant(""), nil }
	const noHub, noGuard = "stream: a handler of a nil hub", "stream: a handler of a nil authorizer"
	require.PanicsWithValue(t, noHub, func() { stream.Handler(nil, nil) })
	require.PanicsWithValue(t, noHub, func() { stream.PushHandler(nil) })
	require.PanicsWithValue(t, noHub, func() { stream.Authorized(nil, anybody) })
	require.PanicsWithValue(t, noHub, func() { stream.AuthorizedPush(nil, anybody) })
	require.PanicsWithValue(t, noGuard, func() { stream.Authorized(hub, nil) })
	require.PanicsWithValue(t, noGuard, func() { stream.AuthorizedPush(hub, nil) })
}
