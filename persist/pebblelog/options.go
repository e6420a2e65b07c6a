package pebblelog

import (
	"log/slog"
	"maps"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/clock"
)

// Option sets an option of [Open].
type Option func(*config)

type config struct {
	sync       bool
	retention  persist.Retention
	flushDelay time.Duration
	keptBudget int // keptBudget but for tests
	memTable   uint64
	fs         vfs.FS
	logger     *slog.Logger
	clock      persist.Clock
	maxFloors  int // of topics; 0 is floors.Max
}

func newConfig(opts []Option) config {
	c := config{
		sync:       true,
		flushDelay: flushDelay, keptBudget: keptBudget,
		memTable: memTableSize,
		fs:       vfs.Default,
		logger:   slog.New(slog.DiscardHandler),
		clock:    clock.System{},
	}
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	return c
}

// WithSync chooses whether an acknowledged record survives the end of the process
// and a power cut in any case (true, the default), or is brought to the disk within
// a tenth of a second, which a crash may forestall (false).
func WithSync(sync bool) Option { return func(c *config) { c.sync = sync } }

// WithRetention bounds what the log keeps: everything by default.
func WithRetention(r persist.Retention) Option {
	return func(c *config) {
		r.Topics = maps.Clone(r.Topics)
		c.retention = r
	}
}

// WithFS sets the file system that the log is on.
func WithFS(fs vfs.FS) Option {
	return func(c *config) {
		if fs != nil {
			c.fs = fs
		}
	}
}

// WithLogger sets where the log reports what nobody waits for, such as failures
// of retention. Nothing is reported by default.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) {
		if l != nil {
			c.logger = l
		}
	}
}

// WithClock sets the clock that retention by age and its timer go by.
func WithClock(clock persist.Clock) Option {
	return func(c *config) {
		if clock != nil {
			c.clock = clock
		}
	}
}
