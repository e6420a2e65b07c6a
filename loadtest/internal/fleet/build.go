package fleet

import (
	"fmt"
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
	a.StartAt(from)
	env := &session.Env{
		Clock: clk, Ledger: l, Run: uint32(run),
		Resume: c.Resume, CheckIDs: c.CheckIDs, GapType: c.GapType, MaxEvent: c.MaxEvent, Type: a.Type(),
		Observe: c.Observe(), Silence: int64(c.Silence),
	}
	if c.TimeFrom != "" {
		if env.Time, err = session.ParseExtractor(c.TimeFrom, c.TimeFormat); err != nil {
			return nil, fmt.Errorf("-time-from %w", err)
		}
	}
	if c.Finite {
		env.Finite = &session.Finite{Marker: c.EndMarker}
		if c.TokenFrom != "" {
			if env.Finite.Token, err = session.ParseExtractor(c.TokenFrom, ""); err != nil {
				return nil, fmt.Errorf("-token-from %w", err)
			}
		}
	}
	return &Part{Config: c, Adapter: a, Env: env, From: from, To: to}, nil
}
