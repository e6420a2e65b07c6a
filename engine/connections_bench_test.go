package engine_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
)

// all takes everything.
type all struct{}

func (all) Write(p []byte) (int, error) { return len(p), nil }
func (all) Close(error)                 {}

// BenchmarkListing100k is a page of 100 of 100,000 connections: the first that there are, those of a user, and those of a
// topic that one connection follows, for which all are looked at.
func BenchmarkListing100k(b *testing.B) {
	hub := engine.NewHub(engine.WithLogger(slog.New(slog.DiscardHandler)), engine.WithHeartbeat(-1))
	defer hub.Close()
	const conns = 100_000
	for i := range conns {
		topics := []string{"common"}
		if i == conns/2 {
			topics = []string{"rare"}
		}
		_, err := hub.Subscribe(engine.Subscription{UID: fmt.Sprint("u", i), Topics: topics}, all{})
		require.NoError(b, err)
	}
	require.Eventually(b, func() bool { return hub.Stats().Clients == conns }, time.Minute, time.Millisecond)
	for name, which := range map[string]engine.ConnectionFilter{"first": {}, "user": {UID: "u7"}, "topic": {Topic: "rare"}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				list, _, err := hub.Connections(b.Context(), which, "", 100)
				require.NoError(b, err)
				require.NotEmpty(b, list)
			}
		})
	}
}
