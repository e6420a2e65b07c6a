package fleet

import (
	"strconv"

	"github.com/spatehub/spate/loadtest/internal/adapter"
	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/clock"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// NewPart prepares streams from to to (excluded) of the run that c, which must
// be normalized and have a run ID, describes.
func NewPart(c *config.Config, l *check.Ledger, clk clock.Clock, from, to int) (*Part, error) {
	a, err := adapter.New(c)
	if err != nil {
		return nil, err
	}
	run, err := strconv.ParseUint(c.RunID, 16, 32)
	if err != nil {
		return nil, err
	}
	env := &session.Env{
		Clock: clk, Ledger: l, Run: uint32(run),
		Resume: c.Resume, CheckIDs: c.CheckIDs, GapType: c.GapType, MaxEvent: c.MaxEvent,
	}
	return &Part{Config: c, Adapter: a, Env: env, From: from, To: to}, nil
}
