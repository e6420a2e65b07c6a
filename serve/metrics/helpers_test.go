package metrics_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
)

// patience ends a test that waits for what does not come.
const patience = 20 * time.Second

var silent = slog.New(slog.DiscardHandler)

func newHub(t *testing.T, opts ...engine.HubOption) *engine.Hub {
	hub := engine.NewHub(append([]engine.HubOption{engine.WithLogger(silent)}, opts...)...)
	t.Cleanup(hub.Close)
	return hub
}

// greedy is a sink that takes everything.
type greedy struct{}

func (greedy) Write(p []byte) (int, error) { return len(p), nil }
func (greedy) Close(error)                 {}

// muteLog tells nothing of itself.
type muteLog struct{ persist.Log }
