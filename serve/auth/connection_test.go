package auth_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/golang-jwt/jwt/v5"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// A token is verified once for a connection, however much that gets: live, from the log, and in heartbeats.
func TestATokenIsVerifiedOnceForAConnection(t *testing.T) {
	hub := engine.NewHub(engine.WithLogger(slog.New(slog.DiscardHandler)), engine.WithStore(persist.NewMemory()), engine.WithEnableResendEvents(),
		engine.WithChanBufferSize(16), engine.WithHeartbeat(100*time.Millisecond))
	defer hub.Close()
	keys, verified := auth.CountKeys(secretKeys(t))
	authorize, err := auth.JWT(auth.JWTConfig{Keys: keys})
	require.NoError(t, err)
	server := httptest.NewServer(stream.Authorized(hub, new(auth.Revocations).Guard(authorize), stream.WithSessions(new(stream.Sessions))))
	defer server.Close()
	defer hub.Close() // before the server, which waits for streams that are not taken over
	token := sign(t, jwt.SigningMethodHS256, secret, claims("exp", time.Now().Add(time.Hour).Unix(), "sub", "tom"))
	for range 100 {
		require.NoError(t, hub.Push([]string{"tom"}, &wire.Event{Data: "old"}))
	}
	for n := range 3 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Last-Event-ID", engine.Earliest)
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.Equal(t, 200, res.StatusCode)
		beats := hub.Stats().Heartbeats
		d := wire.NewDecoder(res.Body)
		for range 100 {
			e, err := d.Next()
			require.NoError(t, err)
			require.Equal(t, "old", e.Data)
		}
		require.Eventually(t, func() bool { return hub.Stats().Heartbeats > beats }, time.Minute, time.Millisecond)
		for i := range 20 {
			require.NoError(t, hub.Push([]string{"tom"}, &wire.Event{Data: strconv.Itoa(i), Ephemeral: true}))
			e, err := d.Next()
			require.NoError(t, err)
			require.Equal(t, strconv.Itoa(i), e.Data)
		}
		require.EqualValues(t, n+1, verified.Load())
		res.Body.Close()
	}
}
