package persist

import (
	"log/slog"
	"maps"

	"github.com/spatehub/spate/persist/internal/clock"
)

// Option sets an option of [NewMemory] or [FromStore].
type Option func(*config)

type config struct {
	retention    Retention
	retentionSet bool
	logger       *slog.Logger
	clock        Clock
	types        []string
	maxFloors    int // of topics; 0 is floors.Max
}

func newConfig(opts []Option) config {
	c := config{
		logger: slog.New(slog.DiscardHandler),
		clock:  clock.System{},
	}
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	return c
}

// WithRetention bounds what [NewMemory] keeps, by default a number of records that
// fits into memory. [FromStore] has no retention: that is the Store's own affair.
func WithRetention(r Retention) Option {
	return func(c *config) {
		r.Topics = maps.Clone(r.Topics)
		c.retention, c.retentionSet = r, true
	}
}

// WithLogger sets where the log reports what nobody waits for. Nothing is reported
// by default.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) {
		if l != nil {
			c.logger = l
		}
	}
}

// WithClock sets the clock that retention by age goes by.
func WithClock(clock Clock) Option {
	return func(c *config) {
		if clock != nil {
			c.clock = clock
		}
	}
}
