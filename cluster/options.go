package cluster

import (
	"log/slog"
	"time"
)

// Silence says what a node does with its connections while it hears nothing of its
// cluster. It takes no pushes in either case, and is not ready.
type Silence uint8

const (
	// KeepStreams keeps them, and takes new ones: they get what is there, and go on
	// when the node hears again.
	KeepStreams Silence = iota
	// EndStreams ends them by a disconnect event, and refuses new ones.
	EndStreams
)

// Option sets up a Node.
type Option func(*config)

type config struct {
	logger   *slog.Logger
	beat     time.Duration
	silence  time.Duration
	patience time.Duration
	attempt  time.Duration
	policy   Silence
	gone     time.Duration // 0: no presence
}

const (
	defaultBeat     = 2 * time.Second
	defaultSilence  = 5 * time.Second
	defaultPatience = 30 * time.Second
	defaultAttempt  = 2 * time.Second
)

// WithLogger sets the logger; the default is slog.Default().
func WithLogger(l *slog.Logger) Option { return func(c *config) { c.logger = l } }

// WithSilence says after how long without a word from the cluster a node is not
// ready any more (default 5 s, at least 100 ms), and what becomes of its connections.
// It asks for a word twice in that time, when nothing comes by itself.
func WithSilence(after time.Duration, then Silence) Option {
	return func(c *config) { c.silence, c.policy = after, then }
}

// WithPatience bounds how long a push waits for the cluster (default 30 s). It must be
// less than the time for which the orderer remembers tokens.
func WithPatience(d time.Duration) Option { return func(c *config) { c.patience = d } }

func newConfig(opts []Option) config {
	c := config{logger: slog.Default(), silence: defaultSilence, patience: defaultPatience}
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	if c.logger == nil {
		c.logger = slog.Default()
	}
	if c.patience <= 0 {
		c.patience = defaultPatience
	}
	c.silence = max(c.silence, 100*time.Millisecond)
	c.beat = min(defaultBeat, c.silence*2/5)
	c.attempt = min(defaultAttempt, c.patience)
	return c
}
