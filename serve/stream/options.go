package stream

import (
	"context"
	"net/http"
	"time"

	"github.com/spatehub/spate/engine"
)

// Option sets up the streams of [Handler] or [Serve].
type Option func(*config)

// config is what the options say.
type config struct {
	extra     []header
	topics    []string
	retry     time.Duration
	policy    engine.Policy
	stall     time.Duration
	conflate  bool
	patient   func(*http.Request) bool // nil: who asks for it
	refuseGap bool
	portable  bool
	uncoded   bool
	source    func(*http.Request) string
	peers     func(*http.Request) string // addresses for lists of connections; nil: they tell none
	maxConns  int
	maxTopics int
	later     time.Duration
	reserve   int // descriptors; see WithDescriptorReserve
	context   func(*http.Request) context.Context
	query     []string // the parameters that are taken beside ours; nil: all
	gate      Gate
	sessions  *Sessions
}

const (
	defaultRetry = 3 * time.Second

	// defaultTopics is plenty for a client; more is a mistake, or an attack.
	defaultTopics = 1000
)

func newConfig(opts []Option) *config {
	c := &config{retry: defaultRetry, source: addressOf}
	for _, o := range opts {
		if o != nil {
			o(c)
		}
	}
	if c.maxTopics <= 0 {
		c.maxTopics = defaultTopics
	}
	return c
}

// WithExtraHeaders adds headers to the response. They come after those
// that middleware has set and replace them, Cache-Control and X-Accel-Buffering
// included. What frames the body or says its type can't be set, and names that
// are no header names are left out; line breaks in a value become spaces.
func WithExtraHeaders(headers map[string]string) Option {
	extra := sanitized(headers)
	return func(c *config) { c.extra = append(c.extra, extra...) }
}

// WithTopics subscribes every connection to topics, beside those that identify
// returns.
func WithTopics(topics ...string) Option {
	return func(c *config) { c.topics = append(c.topics, topics...) }
}

// WithRetry sets how long a client shall wait before it reconnects (default
// 3 s; whole milliseconds). 0 or less leaves that to the client.
func WithRetry(d time.Duration) Option { return func(c *config) { c.retry = d } }

// WithPolicy sets what happens to connections that fall behind, instead of the
// hub's policy.
func WithPolicy(p engine.Policy) Option { return func(c *config) { c.policy = p } }

// WithStallTimeout sets after how long a connection that accepts no byte is
// closed, instead of the hub's time-out; negative means never. The same time
// bounds one write of a portable stream, and for a raw one how long its peer may
// leave unacknowledged what was sent, or its window shut: so a peer without power
// or network is found, a heartbeat or two later. With never, that is left to the
// system, which takes some quarter of an hour, and a live peer may be silent for
// as long as it likes.
func WithStallTimeout(d time.Duration) Option { return func(c *config) { c.stall = d } }

// WithConflation gives a connection that fell behind only the newest event per
// key.
func WithConflation() Option { return func(c *config) { c.conflate = true } }

// WithPatient says of a request that its events may come a little later than others',
// several at a time, as [engine.WithPatience] has it. Beside those for which it returns
// true, all are patient that ask for it, by may_wait=true in the query. On a hub without
// patience none is.
func WithPatient(patient func(*http.Request) bool) Option {
	return func(c *config) { c.patient = patient }
}

// WithRefuseGap answers 409 to a client that wants to resume where history no
// longer reaches, instead of a stream that begins with a gap event. Browsers do
// not reconnect after it.
func WithRefuseGap() Option { return func(c *config) { c.refuseGap = true } }

// WithSource says where a request comes from: connections of one source share
// what the hub spends on reading history for clients that resume, whatever their
// number. The default is the peer's address; behind a proxy that is the proxy's for
// all, so that only users and connections are told apart: take the address from a
// header then that the proxy sets.
func WithSource(source func(*http.Request) string) Option {
	return func(c *config) {
		if source != nil {
			c.source = source
		}
	}
}

// WithPortable writes through the http.ResponseWriter even where the socket
// could be taken over. It costs a goroutine and some 10 KiB per connection;
// it is for middleware that has to see the bytes, such as a compressor.
func WithPortable() Option { return func(c *config) { c.portable = true } }

// WithMaxConns answers 503 while the hub has n connections or more. Requests
// that arrive at the same moment are not counted against each other, so the
// number can be exceeded by as many. 0 or less is no limit.
func WithMaxConns(n int) Option { return func(c *config) { c.maxConns = n } }

// WithMaxTopics answers 400 to a connection that is to follow more than n topics,
// those of [WithTopics] included (default 1000; 0 or less is the default).
func WithMaxTopics(n int) Option { return func(c *config) { c.maxTopics = n } }

// WithContext ends each stream when the context ends that fn returns for its
// request, with a disconnect event of reason "expired"; nil is none. The deadline
// of the request's own context does so by itself, in every mode. That it is
// cancelled does not count: the server cancels it when the handler returns, which
// is at once where the socket is taken over.
func WithContext(fn func(*http.Request) context.Context) Option {
	return func(c *config) { c.context = fn }
}

// WithLater answers what would be a 503 (the hub closes, too many connections, no
// descriptors) by a 200 without events that ends at once and tells the client to
// come back after d, in whole milliseconds. A browser's EventSource gives up for
// good at any status but 200, and at 204. 0 or less is 503.
func WithLater(d time.Duration) Option { return func(c *config) { c.later = d } }
