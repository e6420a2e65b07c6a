package engine_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// fullLog is a log in which somebody has written one of the last IDs there are.
type fullLog struct{ *persist.Memory }

func (fullLog) Last() uint64      { return math.MaxUint64 - 20 }
func (fullLog) HighWater() uint64 { return math.MaxUint64 - 20 }

// Invariant 9: a hub whose log leaves it no IDs refuses pushes, rather than wait for
// a clock that never gets there.
func TestNoIDsLeftIsAnError(t *testing.T) {
	h := engine.NewHub(engine.WithLogger(testLogger(t)), engine.WithLog(fullLog{persist.NewMemory()}))
	defer h.Close()
	for range 30 { // beyond the end
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_, err := h.Publish(ctx, nil, &wire.Event{Data: "x"})
		cancel()
		require.ErrorIs(t, err, engine.ErrLog)
		require.ErrorIs(t, err, persist.ErrRecord)
	}
}
