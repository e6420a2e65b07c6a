package jetstream

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// Defaults of a stream that Open makes.
const (
	DefaultStream   = "spate"
	DefaultReplicas = 3
	DefaultMaxAge   = 24 * time.Hour
)

// Option sets up a Stream.
type Option func(*config)

type config struct {
	logger      *slog.Logger
	name        string
	replicas    int
	replicasSet bool
	maxAge      time.Duration
	maxBytes    int64
}

// WithStream names the stream (default "spate"), and is what its subjects begin with.
func WithStream(name string) Option { return func(c *config) { c.name = name } }

// WithReplicas says on how many servers the stream is (default 3 where it is made
// here). One that is there must have as many.
func WithReplicas(n int) Option {
	return func(c *config) { c.replicas, c.replicasSet = n, true }
}

// WithMaxAge says how long a stream that is made here keeps events (default 24 h):
// longer than any outage of a hub that shall lose nothing by it. What hubs serve to
// clients that resume is their own logs' retention.
func WithMaxAge(d time.Duration) Option { return func(c *config) { c.maxAge = d } }

// WithMaxBytes bounds a stream that is made here (default: not).
func WithMaxBytes(n int64) Option { return func(c *config) { c.maxBytes = n } }

// WithLogger sets the logger; the default is slog.Default().
func WithLogger(l *slog.Logger) Option { return func(c *config) { c.logger = l } }

func newConfig(opts []Option) *config {
	c := &config{logger: slog.Default(), name: DefaultStream, replicas: DefaultReplicas, maxAge: DefaultMaxAge, maxBytes: -1}
	for _, o := range opts {
		if o != nil {
			o(c)
		}
	}
	if c.logger == nil {
		c.logger = slog.Default()
	}
	return c
}

// ConnOptions are options for the connection: it never gives up, and tries again also
// where it is refused, and finds a server
// that is gone within about two seconds. Options after them count.
func ConnOptions() []nats.Option {
	return []nats.Option{
		nats.Name("spate"),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // rights that are wrong for a while end no hub
		nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(200 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.Timeout(2 * time.Second),
		nats.PingInterval(time.Second),
		nats.MaxPingsOutstanding(2),
		nats.ReconnectBufSize(-1), // what can't be sent now fails, and is tried again with its token
	}
}
