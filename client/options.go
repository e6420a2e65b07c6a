package client

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/spatehub/spate/wire"
)

// Option is an option of [NewClient], or of [Do] where it says so. What an option
// cannot mean is told by the first Connect, Events or Do, with its name.
type Option func(*config)

// Defaults of the options.
const (
	DefaultReconnectInterval  = time.Second
	DefaultMaxBackoff         = 30 * time.Second
	DefaultStableTime         = 30 * time.Second
	DefaultIdleTimeout        = 60 * time.Second
	DefaultCheckpointInterval = time.Second

	// DefaultMaxEventSize is 16 MiB, 16 times what a hub takes unless it is told
	// otherwise.
	DefaultMaxEventSize = 16 << 20
)

// MaxWait is the longest time that the client waits because a server says so, by
// "retry:": a day. (A Retry-After may ask for an hour.)
const MaxWait = 24 * time.Hour

type config struct {
	request requestConfig
	waits   waitConfig

	idleTimeout  time.Duration // ≤ 0: none
	maxEventSize int
	lastEventID  string
	end          func(*wire.Event) bool // nil: none
	endData      string
	hasEndData   bool
	keep         keepConfig
	logger       *slog.Logger

	faults []error  // what options cannot mean
	life   []string // options given that concern more than one connection
}

func newConfig(opts []Option) *config {
	c := &config{
		request:      requestConfig{compression: true, http: &http.Client{}},
		waits:        waitConfig{interval: DefaultReconnectInterval, maxBackoff: DefaultMaxBackoff, stable: DefaultStableTime},
		idleTimeout:  DefaultIdleTimeout,
		maxEventSize: DefaultMaxEventSize,
		keep:         keepConfig{interval: DefaultCheckpointInterval},
		logger:       slog.New(slog.DiscardHandler),
	}
	for _, opt := range opts {
		opt(c)
	}
	if c.keep.mode == AtMostOnce && c.keep.store != nil && c.keep.intervalSet {
		c.fault("WithCheckpointInterval", "has no meaning with AtMostOnce, which saves before each event")
	}
	return c
}

func (c *config) fault(option, reason string) {
	c.faults = append(c.faults, fmt.Errorf("client: %s %s", option, reason))
}

// valid is nil if all options can be meant.
func (c *config) valid() error { return errors.Join(c.faults...) }

// positive records a fault unless d is above 0.
func (c *config) positive(option string, d time.Duration) {
	if d <= 0 {
		c.fault(option, fmt.Sprintf("(%v): must be above 0", d))
	}
}

// WithIdleTimeout gives a connection up, and makes a new one, when nothing at
// all arrives for d: neither response nor event nor comment. It is how a server
// that is gone without a word is noticed. d should be some heartbeats long: a
// spate hub sends one after 15 s of silence, unless it is told otherwise. The
// default, also for 0, is [DefaultIdleTimeout]; a negative d waits for ever,
// which a server without heartbeats needs. With [Do] the default is to wait until
// its context ends, and an error ends it.
func WithIdleTimeout(d time.Duration) Option {
	return func(c *config) {
		if d == 0 {
			d = DefaultIdleTimeout
		}
		c.idleTimeout = d
	}
}

// WithMaxEventSize bounds the data of an event in bytes, however it is cut into
// lines, as a hub's bound does; [wire.Parser] says what else follows from it. A
// larger one ends the client with [wire.ErrEventTooLarge], as it would only come
// again. It bounds the memory that a server can make a stream take. The default is
// [DefaultMaxEventSize]. For [Do] as well.
func WithMaxEventSize(n int) Option {
	return func(c *config) {
		if n <= 0 {
			c.fault("WithMaxEventSize", fmt.Sprintf("(%d): must be above 0", n))
			return
		}
		c.maxEventSize = n
	}
}

// WithLastEventID makes the first connection resume after the event id, as
// [SSEClient.LastEventID] told it in an earlier life of the program. An ID that a
// checkpoint has wins over it.
func WithLastEventID(id string) Option {
	return func(c *config) { c.lastEventID = id; c.life = append(c.life, "WithLastEventID") }
}

// WithEnd ends the client, without an error, after the first event for which fn
// is true: it is handed out as the last one. For example, the end of a stream
// that a server tells by an event of type "close":
//
//	client.WithEnd(func(e *wire.Event) bool { return e.Event == "close" })
//
// By default no event ends the client. fn runs where callbacks do. For [Do] as
// well, where a stream that ends before such an event is an error, [ErrCut].
func WithEnd(fn func(*wire.Event) bool) Option {
	return func(c *config) { c.end = fn }
}

// WithEndData ends the client, without an error, at the first event with exactly
// this data, which is not handed out: "[DONE]" is how many servers of language
// models end a stream. For [Do] as well, where a stream that ends before such an
// event is an error, [ErrCut].
func WithEndData(data string) Option {
	return func(c *config) { c.endData, c.hasEndData = data, true }
}

// WithLogger makes the client tell about lost connections and attempts. By
// default, also for nil, it logs nothing. URLs are logged without user and query.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) {
		if logger == nil {
			logger = slog.New(slog.DiscardHandler)
		}
		c.logger = logger
	}
}
