package main

import (
	"log/slog"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spatehub/spate/compress"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve"
)

// Defaults of `spate serve`.
const (
	defaultListen = "127.0.0.1:8080"
	defaultData   = "./data"
	// demoAge is how long a demo hub keeps its measurements where no retention was asked for: a demo that runs for a
	// week should not fill a disk.
	demoAge = 24 * time.Hour
)

// serveConfig is what `spate serve` was asked to do.
type serveConfig struct {
	listen    string
	data      string
	memory    bool
	backupDir string
	noSync    bool
	immediate bool
	compress  bool
	demo      bool
	retention persist.Retention

	heartbeat time.Duration
	retry     time.Duration
	maxConns  int
	reserve   int // descriptors
	later     time.Duration
	stall     time.Duration
	drain     time.Duration
	maxEvent  sizeValue
	queue     sizeValue
	buffer    int
	policy    engine.Policy

	userHeader string

	logLevel  slog.Level
	logFormat string
}

// parseServe reads flags and environment.
func parseServe(s streams, args []string) (*serveConfig, error) {
	c := &serveConfig{maxEvent: 1 << 20, queue: 1 << 20}
	var age ageValue
	var retainBytes sizeValue
	var topics topicRetention
	var policy string
	fs := newFlagSet("serve [flags]")
	fs.StringVar(&c.listen, "listen", defaultListen, "`address` to listen on; loopback only, as there is no authorization yet")
	fs.StringVar(&c.data, "data", defaultData, "`folder` of the log")
	fs.BoolVar(&c.memory, "memory", false, "keep events in memory alone: nothing survives a restart")
	fs.StringVar(&c.backupDir, "backup-dir", "", "`folder` in which POST /backup and spate log backup --url make backups of the log (default none are made)")
	fs.BoolVar(&c.noSync, "no-sync", false, "acknowledge before the disk has it, which follows within a tenth of a second: faster, and a crash may take the last events")
	fs.BoolVar(&c.immediate, "immediate", false, "deliver before the log has it: lower latency, and a crash may take back what was delivered")
	fs.BoolVar(&c.compress, "compress", false, "send streams in zstd or gzip to clients that accept it: fewer bytes, more time where few clients share an event")
	fs.Var(&age, "retain-age", "drop events older than this `duration`, such as 12h or 7d (0: keep)")
	fs.Var((*countValue)(&c.retention.MaxCount), "retain-count", "keep about this `number` of events (0: all)")
	fs.Var(&retainBytes, "retain-bytes", "keep about this `size` of events, such as 10GiB (0: all)")
	fs.Var(&topics, "retain-topic", "`bounds` of one topic's events, such as prices=count:1000,age:1h,bytes:10MB; * as the topic: each topic without bounds of its own; may be given several times, in the environment as a;b")
	c.heartbeat, c.retry, c.stall, c.drain = 15*time.Second, 3*time.Second, time.Minute, 5*time.Second
	fs.Var((*ageValue)(&c.heartbeat), "heartbeat", "longest silence, as `time`, on a connection before it gets a comment (0: never)")
	fs.Var((*ageValue)(&c.retry), "retry", "`time` a client shall wait before it reconnects (0: its own choice)")
	fs.IntVar(&c.maxConns, "max-connections", 0, "answer 503 beyond this `number` of streams (0: no limit but the system's)")
	fs.StringVar(&c.userHeader, "user-header", "", "take who a user is from this `header`, which a proxy sets, rather than from the query")
	fs.IntVar(&c.reserve, "descriptor-reserve", 0, "answer 503 to streams while fewer than this `number` of descriptors is left: for the log and for pushes (0: half of the limit, at most 600; with --memory an eighth)")
	fs.Var((*ageValue)(&c.later), "later", "answer streams that cannot be taken now by an empty one that tells clients to come back after this `time`, instead of 503, for which browsers give up (0: 503)")
	fs.Var((*ageValue)(&c.stall), "stall-timeout", "close a connection that takes no byte for this `time` (0: never)")
	fs.Var((*ageValue)(&c.drain), "drain", "`time` given to connections to take what waits for them when the hub ends")
	fs.Var(&c.maxEvent, "max-event-size", "largest event's `size`")
	fs.Var(&c.queue, "queue-bytes", "`size` of what may wait for one connection before it reads on from the log")
	fs.IntVar(&c.buffer, "buffer", 4096, "`number` of events in the ring; half of it is recent history")
	fs.StringVar(&policy, "policy", "catch-up", "`what` happens to a slow connection: catch-up, retry, drop-oldest or disconnect")
	fs.Var((*levelValue)(&c.logLevel), "log-level", "`level`: debug, info, warn or error")
	fs.StringVar(&c.logFormat, "log-format", "text", "`format`: text or json")
	fs.BoolVar(&c.demo, "demo", false, "push measurements of this machine four times a second, and show them on the dashboard")
	if err := fs.parse(s, args); err != nil {
		return nil, err
	}
	c.retention.MaxAge, c.retention.MaxBytes, c.retention.Topics = time.Duration(age), int64(retainBytes), topics.topics
	if fs.NArg() > 0 {
		return nil, usagef("unexpected argument %q", fs.Arg(0))
	}
	if err := c.setPolicy(policy); err != nil {
		return nil, err
	}
	return c, c.validate(fs)
}

func (c *serveConfig) setPolicy(name string) error {
	for _, p := range []engine.Policy{engine.PolicyCatchUp, engine.PolicyRetry, engine.PolicyDropOldest, engine.PolicyDisconnect} {
		if p.String() == name {
			c.policy = p
			return nil
		}
	}
	return usagef("--policy %q: give catch-up, retry, drop-oldest or disconnect", name)
}

// validate refuses what the engine would otherwise correct: on a command line a wrong value is better told than mended.
func (c *serveConfig) validate(fs *flagSet) error {
	if err := checkLoopback(c.listen); err != nil {
		return err
	}
	if c.userHeader == "" && fs.set["user-header"] != byDefault { // a variable that is not set: users would be the query's again
		return usagef("--user-header is empty: give a header's name, such as X-Spate-User, or leave it out")
	}
	if err := checkUserHeader(c.userHeader); err != nil {
		return err
	}
	limit := serve.DescriptorStats().Limit
	switch {
	case c.data == "" && !c.memory:
		return usagef("--data must name a folder (or use --memory)")
	case c.memory && fs.contradicts("data", "memory"):
		return usagef("--memory and --data %s contradict each other: give one of them", c.data)
	case c.memory && c.noSync && fs.contradicts("no-sync", "memory"):
		return usagef("--memory and --no-sync contradict each other: a log in memory is never synced; leave --no-sync out")
	case c.backupDir != "" && c.memory:
		return usagef("--backup-dir and --memory contradict each other: only a log on disk can be backed up")
	case c.logFormat != "text" && c.logFormat != "json":
		return usagef("--log-format %q: give text or json", c.logFormat)
	case c.heartbeat > 0 && c.heartbeat < 100*time.Millisecond:
		return usagef("--heartbeat %v: give 100ms or more, or 0 for none", c.heartbeat)
	case c.maxConns < 0:
		return usagef("--max-connections %d: give a positive number, or 0 for no limit", c.maxConns)
	case c.reserve < 0:
		return usagef("--descriptor-reserve %d: give a positive number, or 0 for the default", c.reserve)
	case limit > 0 && c.reserve >= limit:
		return usagef("--descriptor-reserve %d: the process may have %d descriptors (ulimit -n), which leaves none for streams; give less", c.reserve, limit)
	case c.drain == 0:
		return usagef("--drain %v: give a positive duration", c.drain)
	case c.maxEvent < 1<<10 || c.maxEvent > 1<<30:
		return usagef("--max-event-size %v: give 1KiB to 1GiB", &c.maxEvent)
	case c.queue < 1<<10 || c.queue > 1<<30:
		return usagef("--queue-bytes %v: give 1KiB to 1GiB", &c.queue)
	case c.buffer < 16 || c.buffer > 1<<20:
		return usagef("--buffer %d: give 16 to %d", c.buffer, 1<<20)
	case c.retention.MaxCount < 0:
		return usagef("--retain-count %d: give a positive number, or 0 for all", c.retention.MaxCount)
	}
	if c.demo && !whole(c.retention) {
		c.retention.MaxAge = demoAge
	}
	return nil
}

// descriptors is how many descriptors streams leave to the rest of the hub. A log on disk may want hundreds for its
// tables.
func (c *serveConfig) descriptors() int {
	d := serve.DescriptorStats()
	switch {
	case c.reserve > 0:
		return c.reserve
	case c.memory:
		return d.Reserve
	}
	return min(d.Limit/2, 600)
}

// checkLoopback refuses addresses that other machines could reach: whoever reaches the hub may push to and read from
// everybody.
func checkLoopback(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return usagef("--listen %q: give host:port, such as %s", address, defaultListen)
	}
	if n, err := strconv.ParseUint(port, 10, 32); err == nil && n > math.MaxUint16 {
		return usagef("--listen %q: a port is a number up to %d (0 takes any free one)", address, math.MaxUint16)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return usagef("--listen %q: %q is no port; give a number up to %d (0 takes any free one)", address, port, math.MaxUint16)
	}
	if isLoopback(host) {
		return nil
	}
	return usagef("--listen %s: only loopback addresses (127.0.0.1, [::1], localhost) are allowed, because the hub has no authorization yet and anyone who reaches it could read and push everything", address)
}

// isLoopback reports whether host is localhost or a loopback address. Other names are not looked up: what they mean is
// up to whoever runs the name server.
func isLoopback(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// hubOptions are the engine's options.
func (c *serveConfig) hubOptions(log *slog.Logger, store persist.Store) []engine.HubOption {
	never := func(d time.Duration) time.Duration {
		if d == 0 {
			return -1
		}
		return d
	}
	opts := []engine.HubOption{
		engine.WithStore(store), engine.WithEnableResendEvents(), engine.WithLogger(log),
		engine.WithHeartbeat(never(c.heartbeat)), engine.WithStallTimeout(never(c.stall)), engine.WithDrainTimeout(c.drain),
		engine.WithMaxEventSize(int(c.maxEvent)), engine.WithQueueBytes(int(c.queue)), engine.WithChanBufferSize(c.buffer),
		engine.WithPolicy(c.policy),
	}
	if c.immediate {
		opts = append(opts, engine.WithImmediateDelivery())
	}
	if c.compress {
		opts = append(opts, engine.WithEncodings(new(compress.Zstd), new(compress.Gzip)))
	}
	return opts
}

// logger writes to stderr.
func (c *serveConfig) logger(s streams) *slog.Logger {
	opts := &slog.HandlerOptions{Level: c.logLevel}
	if c.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(s.err, opts))
	}
	return slog.New(slog.NewTextHandler(s.err, opts))
}
