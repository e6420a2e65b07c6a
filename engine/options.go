package engine

import (
	"context"
	"log/slog"
	"runtime"
	"time"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// Bounds and defaults of the settable values. A value out of range is
// corrected and the correction is said in the log.
const (
	defaultBuffer  = 4096
	minBuffer      = 16
	maxBuffer      = 1 << 20
	defaultWorkers = 64
	maxWorkers     = 1 << 16
	maxShards      = 64

	defaultRingBytes   = 16 << 20
	defaultQueueBytes  = 1 << 20
	defaultMaxEvent    = wire.DefaultMaxEventSize
	defaultHeartbeat   = 15 * time.Second
	defaultPushTimeout = 5 * time.Second
	defaultPushTries   = 3
	defaultStall       = 60 * time.Second
	defaultDrain       = 5 * time.Second
)

// HubOption sets up a Hub.
type HubOption func(*config)

// config is the hub's set-up after correction; it never changes afterwards.
type config struct {
	ctx         context.Context
	logger      *slog.Logger
	store       persist.Store
	log         persist.Log
	resend      bool
	immediate   bool
	assign      AssignFunc
	source      Source
	failed      func(uid string, e *wire.Event)
	buffer      int   // slots of the ring, a power of two
	window      int   // slots of it kept as history and as the clients' queues
	ringBytes   int64 // frames in the ring beyond which shards shorten their history
	queueBytes  int
	workers     int
	shards      int
	maxEvent    int
	heartbeat   time.Duration
	timeout     time.Duration
	tries       int
	stall       time.Duration
	drain       time.Duration
	catchUpRate int
	policy      Policy
	encodings   []Encoding
	openWriter  func() (BatchWriter, error) // nil: none
	linger      time.Duration
	patience    time.Duration // of connections that have some
	urgent      func(private bool, topic string) bool

	presence  string // topic; "": none
	age       time.Duration
	ageJitter float64
	ageRetry  [2]time.Duration

	topicFigures int
	sweep        int // what a look at many clients may cost in one go; sweepBudget but for tests
	marks        int // what the marks of an event may; markBudget but for tests
}

// WithStore keeps every event in s, so that clients can resume across
// restarts. A persist.Log (pebblelog.Open, persist.NewMemory) is used as such
// and closed with the hub; a plain Store is called for each event.
func WithStore(s persist.Store) HubOption { return func(c *config) { c.store = s } }

// WithLog is WithStore for a log that is no Store. It wins over WithStore.
func WithLog(l persist.Log) HubOption { return func(c *config) { c.log = l } }

// WithEnableResendEvents serves Last-Event-ID: from the log where there is
// one, else from the ring's recent history.
func WithEnableResendEvents() HubOption { return func(c *config) { c.resend = true } }

// WithImmediateDelivery delivers an event before the log has it. It trades the
// promise that nothing is delivered which a crash could take back for latency.
func WithImmediateDelivery() HubOption { return func(c *config) { c.immediate = true } }

// WithPushFailedHandleFn calls fn for each event that could not be delivered
// to a user: no connection, one that ended first, overflow, time-out, write error,
// closed hub. fn runs on the worker pool, possibly several at a time. The event is
// fn's own, but for its list of users, which the calls for one event share: not to be
// changed.
func WithPushFailedHandleFn(fn func(uid string, e *wire.Event)) HubOption {
	return func(c *config) { c.failed = fn }
}

// WithChanBufferSize sizes the ring: n events (default 4096, 16 to 1,048,576,
// rounded up to a power of two). Half of it is room for publishers, the other
// half is recent history and bounds each client's queue.
func WithChanBufferSize(n int) HubOption { return func(c *config) { c.buffer = n } }

// WithQueueBytes bounds the bytes that wait for one client (default 1 MiB).
// The bytes are shared, not copied: the bound limits how far one client may
// lag before its policy takes effect.
func WithQueueBytes(n int) HubOption { return func(c *config) { c.queueBytes = n } }

// WithWorkerNum sizes the pool that runs callbacks: at most so many run at a
// time (default 64, 1 to 65,536). Delivery does not run on it.
func WithWorkerNum(n int) HubOption { return func(c *config) { c.workers = n } }

// WithShards sets the number of shards that connections are spread over
// (default 4 per processor, 1 to 64).
func WithShards(n int) HubOption { return func(c *config) { c.shards = n } }

// WithLogger sets the logger; the default is slog.Default().
func WithLogger(l *slog.Logger) HubOption { return func(c *config) { c.logger = l } }

// WithContext closes the hub when ctx ends.
func WithContext(ctx context.Context) HubOption { return func(c *config) { c.ctx = ctx } }

// WithMaxEventSize bounds an event's data in bytes (default
// wire.DefaultMaxEventSize, 1 MiB; at least 1 KiB). A frame is no larger than
// wire.MaxFrameLen of it.
func WithMaxEventSize(n int) HubOption { return func(c *config) { c.maxEvent = n } }

// WithHeartbeat sets the longest silence on a connection before it gets a
// comment (0: the default, 15 s; at least 100 ms; negative: never).
func WithHeartbeat(d time.Duration) HubOption { return func(c *config) { c.heartbeat = d } }

// WithPushTimeout sets how long a delivery that finds its client's queue full
// is tried, and in how many tries, under PolicyRetry (default 5 s and 3). What
// waits is in the ring's window: events that leave it earlier, because the hub
// publishes half a ring within the time-out, count as dropped.
func WithPushTimeout(d time.Duration, tries int) HubOption {
	return func(c *config) { c.timeout, c.tries = d, tries }
}

// WithStallTimeout sets after how long a connection that accepts no byte is
// closed (default 60 s; negative: never).
func WithStallTimeout(d time.Duration) HubOption { return func(c *config) { c.stall = d } }

// WithDrainTimeout sets how long Close waits for queues to flush (default 5 s).
func WithDrainTimeout(d time.Duration) HubOption { return func(c *config) { c.drain = d } }

// WithPolicy sets what happens to connections that fall behind.
func WithPolicy(p Policy) HubOption { return func(c *config) { c.policy = p } }

// newConfig applies opts over the defaults and corrects what is out of range.
func newConfig(opts []HubOption) *config {
	c := &config{
		ctx: context.Background(), logger: slog.Default(),
		buffer: defaultBuffer, ringBytes: defaultRingBytes, queueBytes: defaultQueueBytes, workers: defaultWorkers,
		shards: min(4*runtime.GOMAXPROCS(0), maxShards), maxEvent: defaultMaxEvent,
		heartbeat: defaultHeartbeat, timeout: defaultPushTimeout, tries: defaultPushTries,
		stall: defaultStall, drain: defaultDrain, sweep: sweepBudget, marks: markBudget,
	}
	for _, o := range opts {
		if o != nil {
			o(c)
		}
	}
	if c.ctx == nil {
		c.ctx = context.Background()
	}
	if c.logger == nil {
		c.logger = slog.Default()
	}
	c.buffer = correct(c, "ring size", c.buffer, minBuffer, maxBuffer)
	for n := minBuffer; ; n *= 2 {
		if n >= c.buffer {
			c.buffer = n
			break
		}
	}
	c.window = c.buffer / 2
	c.workers = correct(c, "worker number", c.workers, 1, maxWorkers)
	c.shards = correct(c, "shards", c.shards, 1, maxShards)
	c.maxEvent = correct(c, "maximal event size", c.maxEvent, 1<<10, 1<<30)
	c.queueBytes = correct(c, "queue bytes", c.queueBytes, 1<<10, 1<<30)
	c.tries = correct(c, "push tries", c.tries, 1, 100)
	c.timeout = correct(c, "push time-out", c.timeout, time.Millisecond, time.Hour)
	c.drain = correct(c, "drain time-out", c.drain, time.Millisecond, time.Hour)
	c.catchUpRate = correct(c, "catch-up rate", c.catchUpRate, 0, maxCatchUpRate)
	correctAge(c)
	correctPresence(c)
	if c.assign != nil && c.immediate {
		c.logger.Warn("spate: a hub that follows delivers what its log has; immediate delivery is left out")
		c.immediate = false
	}
	if c.heartbeat == 0 {
		c.heartbeat = defaultHeartbeat
	}
	if c.heartbeat > 0 {
		c.heartbeat = correct(c, "heartbeat", c.heartbeat, 100*time.Millisecond, 24*time.Hour)
	}
	if c.stall == 0 {
		c.stall = defaultStall
	}
	c.correctEncodings()
	c.linger = correct(c, "linger", c.linger, 0, maxLinger)
	c.patience = correct(c, "patience", c.patience, 0, maxLinger)
	if c.log != nil && c.store != nil {
		c.logger.Warn("spate: a hub has one log: what WithStore gives is left out beside WithLog")
		c.store = nil
	}
	if c.policy > PolicyDisconnect {
		c.logger.Warn("spate: unknown policy corrected", "given", int(c.policy), "used", PolicyDefault)
		c.policy = PolicyDefault
	}
	return c
}

// correct returns v moved into [lo, hi], saying so in the log where it moved.
func correct[T int | time.Duration](c *config, what string, v, lo, hi T) T {
	used := min(max(v, lo), hi)
	if used != v {
		c.logger.Warn("spate: setting out of range, corrected", "setting", what, "given", v, "used", used)
	}
	return used
}

// queue is how many events may wait for one client before its policy takes
// effect, and the most that one push may hold. The rest of the window is what
// PolicyRetry has for trying again.
func (c *config) queue() int { return c.buffer / 4 }

// processors is the number of processors that the hub may use.
func processors() int { return runtime.GOMAXPROCS(0) }
