package persist

import (
	"log/slog"
	"maps"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Option sets an option of [Open], [NewMemory] or [FromStore].
type Option func(*config)

type config struct {
	sync         bool
	retention    Retention
	retentionSet bool
	flushDelay   time.Duration
	memTable     uint64
	fs           vfs.FS
	logger       *slog.Logger
	clock        Clock
	types        []string
}

func newConfig(opts []Option) config {
	c := config{
		sync:       true,
		flushDelay: flushDelay,
		memTable:   memTableSize,
		fs:         vfs.Default,
		logger:     slog.New(slog.DiscardHandler),
		clock:      systemClock{},
	}
	for _, o := range opts {
		o(&c)
	}
	return c
}

// WithSync chooses whether an acknowledged record survives the end of the process
// and a power cut in any case (true, the default), or is brought to the disk within
// a tenth of a second, which a crash may forestall (false). It concerns [Open] only.
func WithSync(sync bool) Option { return func(c *config) { c.sync = sync } }

// WithRetention bounds what the log keeps. [Open] keeps everything by default,
// [NewMemory] a number of records that fits into memory. [FromStore] has no
// retention: that is the Store's own affair.
func WithRetention(r Retention) Option {
	return func(c *config) {
		r.Topics = maps.Clone(r.Topics)
		c.retention, c.retentionSet = r, true
	}
}

// WithFS sets the file system that [Open] uses.
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
func WithClock(clock Clock) Option {
	return func(c *config) {
		if clock != nil {
			c.clock = clock
		}
	}
}
