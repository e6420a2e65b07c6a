package serve_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
)

// patience ends a test that waits for what does not come.
const patience = 20 * time.Second

var silent = slog.New(slog.DiscardHandler)

func newHub(t *testing.T, opts ...engine.HubOption) *engine.Hub {
	hub := engine.NewHub(append([]engine.HubOption{engine.WithLogger(silent)}, opts...)...)
	t.Cleanup(hub.Close)
	return hub
}
