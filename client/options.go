package client

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/spatehub/spate/wire"
)

// Option is an option of [NewClient].
type Option func(*config)

// Defaults of the options.
const (
	DefaultReconnectInterval = time.Second
	DefaultMaxBackoff        = 30 * time.Second
	DefaultIdleTimeout       = 60 * time.Second
)

type config struct {
	headers      map[string]string
	interval     time.Duration
	maxBackoff   time.Duration
	idleTimeout  time.Duration // ≤ 0: none
	maxEventSize int
	lastEventID  string
	logger       *slog.Logger
	http         *http.Client
}

func defaultConfig() config {
	return config{
		interval:     DefaultReconnectInterval,
		maxBackoff:   DefaultMaxBackoff,
		idleTimeout:  DefaultIdleTimeout,
		maxEventSize: wire.DefaultMaxEventSize,
		logger:       slog.New(slog.DiscardHandler),
		http:         &http.Client{},
	}
}

// WithHeaders adds headers to each request, such as Authorization. They win over
// the client's own, except for Last-Event-ID. The map is copied.
func WithHeaders(headers map[string]string) Option {
	return func(c *config) {
		if c.headers == nil {
			c.headers = make(map[string]string, len(headers))
		}
		for name, value := range headers {
			c.headers[name] = value
		}
	}
}

// WithReconnectInterval sets the longest wait before the first attempt to
// connect again; it holds until the server tells another by "retry:". The
// default, also for d ≤ 0, is [DefaultReconnectInterval].
func WithReconnectInterval(d time.Duration) Option {
	return func(c *config) { c.interval = orDefault(d, DefaultReconnectInterval) }
}

// WithMaxBackoff bounds the wait between two attempts, whatever the reconnect
// interval and "retry:" are; only a Retry-After, of an hour at most, comes on top
// of it. The default, also for d ≤ 0, is [DefaultMaxBackoff]; a day is the most.
func WithMaxBackoff(d time.Duration) Option {
	return func(c *config) { c.maxBackoff = min(orDefault(d, DefaultMaxBackoff), 24*time.Hour) }
}

// WithIdleTimeout gives a connection up, and makes a new one, when nothing at
// all arrives for d: neither response nor event nor comment. It is how a server
// that is gone without a word is noticed. d should be some heartbeats long: a
// spate hub sends one after 15 s of silence, unless it is told otherwise. The
// default, also for 0, is [DefaultIdleTimeout]; a negative d waits for ever,
// which a server without heartbeats needs.
func WithIdleTimeout(d time.Duration) Option {
	return func(c *config) {
		if d == 0 {
			d = DefaultIdleTimeout
		}
		c.idleTimeout = d
	}
}

// WithMaxEventSize bounds the size of an event in bytes; a larger one ends the
// client with [wire.ErrEventTooLarge]. The default, also for n ≤ 0, is
// [wire.DefaultMaxEventSize].
func WithMaxEventSize(n int) Option {
	return func(c *config) { c.maxEventSize = orDefault(n, wire.DefaultMaxEventSize) }
}

// WithLastEventID makes the first connection resume after the event id, as
// [SSEClient.LastEventID] told it in an earlier life of the program.
func WithLastEventID(id string) Option {
	return func(c *config) { c.lastEventID = id }
}

// WithLogger makes the client tell about lost connections and attempts. By
// default, also for nil, it logs nothing.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) {
		if logger == nil {
			logger = slog.New(slog.DiscardHandler)
		}
		c.logger = logger
	}
}

// WithHTTPClient sets the client that makes the requests: its transport, cookies
// and redirect policy. Its Timeout is not used, since it would cut every stream;
// [WithIdleTimeout] bounds silence instead. By default, also for nil, it is like
// [http.DefaultClient].
func WithHTTPClient(hc *http.Client) Option {
	return func(c *config) {
		c.http = &http.Client{}
		if hc != nil {
			*c.http = *hc
			c.http.Timeout = 0
		}
	}
}

func orDefault[T int | time.Duration](v, def T) T {
	if v > 0 {
		return v
	}
	return def
}
