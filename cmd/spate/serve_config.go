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
	"github.com/spatehub/spate/serve/stream"
)

// Defaults of `spate serve`.
const (
	defaultListen = "127.0.0.1:8080"
	defaultData   = "./data"
	// demoAge is how long a demo hub keeps its measurements where no retention was asked for: a demo that runs for a
	// week should not fill a disk.
	demoAge = 24 * time.Hour
	// countedTopics is how many topics have figures of their own, and shownTopics how many of them are in /metrics.
	countedTopics = 10_000
	shownTopics   = 100
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
	ioUring   bool
	demo      bool
	retention persist.Retention

	heartbeat time.Duration
	retry     time.Duration
	reserve   int // descriptors
	later     time.Duration
	stall     time.Duration
	drain     drainConfig
	patience  patienceConfig
	api       apiConfig
	maxEvent  sizeValue
	queue     sizeValue
	buffer    int
	policy    engine.Policy

	userHeader string
	access     accessConfig
	limits     limitConfig
	tls        tlsConfig
	cluster    clusterConfig

	logLevel  slog.Level
	logFormat string

	configFile  string
	printConfig bool

	settings *flagSet // what all this was read from
}

// parseServe reads flags, environment and file. Its errors tell all that is wrong.
func parseServe(s streams, args []string) (*serveConfig, error) {
	c, err := readServe(s, args)
	if err != nil {
		return nil, err
	}
	return c, c.settings.faults()
}

// readServe is parseServe, with the faults left in the settings.
func readServe(s streams, args []string) (*serveConfig, error) {
	c := &serveConfig{maxEvent: 1 << 20, queue: 1 << 20}
	var age ageValue
	var retainBytes sizeValue
	var topics topicRetention
	var policy string
	fs := newFlagSet("serve [flags]")
	fs.StringVar(&c.listen, "listen", defaultListen, "`address` to listen on; other than loopback only with authorization, or --insecure")
	fs.StringVar(&c.configFile, configFlag, "", "YAML `file` with settings: the names of these flags without their dashes")
	fs.BoolVar(&c.printConfig, "print-config", false, "print all settings, and where each comes from, and end")
	fs.StringVar(&c.data, "data", defaultData, "`folder` of the log")
	fs.BoolVar(&c.memory, "memory", false, "keep events in memory alone: nothing survives a restart")
	fs.StringVar(&c.backupDir, "backup-dir", "", "`folder` in which POST /backup and spate log backup --url make backups of the log (default none are made)")
	fs.BoolVar(&c.noSync, "no-sync", false, "acknowledge before the disk has it, which follows within a tenth of a second: faster, and a crash may take the last events")
	fs.BoolVar(&c.immediate, "immediate", false, "deliver before the log has it: lower latency, and a crash may take back what was delivered")
	fs.BoolVar(&c.compress, "compress", false, "send streams in zstd or gzip to clients that accept it: fewer bytes, more time where few clients share an event")
	fs.BoolVar(&c.ioUring, "io-uring", false, "hand events to the kernel many at a time, by io_uring: less processor time for a delivery; Linux 5.18, where the system allows it")
	fs.Var(&age, "retain-age", "drop events older than this `duration`, such as 12h or 7d (0: keep)")
	fs.Var((*countValue)(&c.retention.MaxCount), "retain-count", "keep about this `number` of events (0: all)")
	fs.Var(&retainBytes, "retain-bytes", "keep about this `size` of events, such as 10GiB (0: all)")
	fs.Var(&topics, "retain-topic", "`bounds` of one topic's events, such as prices=count:1000,age:1h,bytes:10MB; * as the topic: each topic without bounds of its own; may be given several times, in the environment as a;b")
	c.heartbeat, c.retry, c.stall = 15*time.Second, 3*time.Second, time.Minute
	fs.Var((*ageValue)(&c.heartbeat), "heartbeat", "longest silence, as `time`, on a connection before it gets a comment (0: never)")
	fs.Var((*ageValue)(&c.retry), "retry", "`time` a client shall wait before it reconnects (0: its own choice)")
	fs.StringVar(&c.userHeader, "user-header", "", "take who a user is from this `header`, which a proxy sets, rather than from the query")
	fs.IntVar(&c.reserve, "descriptor-reserve", 0, "answer 503 to streams while fewer than this `number` of descriptors is left: for the log and for pushes (0: half of the limit, at most 600; with --memory an eighth)")
	fs.Var((*ageValue)(&c.later), "later", "answer streams that cannot be taken now by an empty one that tells clients to come back after this `time`, instead of 503, for which browsers give up (0: 503)")
	fs.Var((*ageValue)(&c.stall), "stall-timeout", "close a connection that takes no byte for this `time` (0: never)")
	c.drain.addFlags(fs)
	c.patience.addFlags(fs)
	c.api.addFlags(fs)
	fs.Var(&c.maxEvent, "max-event-size", "largest event's `size`")
	fs.Var(&c.queue, "queue-bytes", "`size` of what may wait for one connection before it reads on from the log")
	fs.IntVar(&c.buffer, "buffer", 4096, "`number` of events in the ring; half of it is recent history")
	fs.StringVar(&policy, "policy", "catch-up", "`what` happens to a slow connection: catch-up, retry, drop-oldest or disconnect")
	fs.Var((*levelValue)(&c.logLevel), "log-level", "`level`: debug, info, warn or error")
	fs.StringVar(&c.logFormat, "log-format", "text", "`format`: text or json")
	c.access.addFlags(fs)
	c.limits.addFlags(fs)
	c.tls.addFlags(fs)
	c.cluster.addFlags(fs)
	fs.BoolVar(&c.demo, "demo", false, "push measurements of this machine four times a second, and show them on the dashboard")
	if err := fs.read(s, args); err != nil {
		return nil, err
	}
	c.settings = fs
	c.retention.MaxAge, c.retention.MaxBytes, c.retention.Topics = time.Duration(age), int64(retainBytes), topics.topics
	if fs.NArg() > 0 {
		fs.faultf("unexpected argument %q", fs.Arg(0))
	}
	c.setPolicy(fs, policy)
	c.validate(fs)
	if c.demo && !whole(c.retention) {
		c.retention.MaxAge = demoAge
	}
	return c, nil
}

func (c *serveConfig) setPolicy(fs *flagSet, name string) {
	for _, p := range []engine.Policy{engine.PolicyCatchUp, engine.PolicyRetry, engine.PolicyDropOldest, engine.PolicyDisconnect} {
		if p.String() == name {
			c.policy = p
			return
		}
	}
	fs.must(false, "policy", "--policy %q: give catch-up, retry, drop-oldest or disconnect", name)
}

// validate refuses what the engine would otherwise correct: a wrong value is better told than mended. What is wrong is
// left in fs.
func (c *serveConfig) validate(fs *flagSet) {
	fs.check("listen", c.checkListen())
	fs.check("user-header", checkUserHeader(c.userHeader))
	fs.must(c.userHeader == "" || !c.access.on(), "user-header", "--user-header contradicts the settings that ask for credentials, which say who a user is: give one or the other")
	limit := stream.DescriptorStats().Limit
	fs.must(!(c.memory && fs.contradicts("data", "memory")), "data", "--memory and --data %s contradict each other: give one of them", c.data)
	fs.must(!(c.memory && c.noSync && fs.contradicts("no-sync", "memory")), "no-sync", "--memory and --no-sync contradict each other: a log in memory is never synced; leave --no-sync out")
	fs.must(c.backupDir == "" || !c.memory, "backup-dir", "--backup-dir and --memory contradict each other: only a log on disk can be backed up")
	fs.must(c.logFormat == "text" || c.logFormat == "json", "log-format", "--log-format %q: give text or json", c.logFormat)
	fs.must(c.heartbeat == 0 || c.heartbeat >= 100*time.Millisecond, "heartbeat", "--heartbeat %v: give 100ms or more, or 0 for none", c.heartbeat)
	fs.must(c.reserve >= 0, "descriptor-reserve", "--descriptor-reserve %d: give a positive number, or 0 for the default", c.reserve)
	fs.must(limit == 0 || c.reserve < limit, "descriptor-reserve", "--descriptor-reserve %d: the process may have %d descriptors (ulimit -n), which leaves none for streams; give less", c.reserve, limit)
	c.drain.validate(fs)
	c.patience.validate(fs)
	c.api.validate(fs)
	fs.must(c.maxEvent >= 1<<10 && c.maxEvent <= 1<<30, "max-event-size", "--max-event-size %v: give 1KiB to 1GiB", &c.maxEvent)
	fs.must(c.queue >= 1<<10 && c.queue <= 1<<30, "queue-bytes", "--queue-bytes %v: give 1KiB to 1GiB", &c.queue)
	fs.must(c.buffer >= 16 && c.buffer <= 1<<20, "buffer", "--buffer %d: give 16 to %d", c.buffer, 1<<20)
	c.access.validate(fs)
	c.limits.validate(fs)
	least := sizeValue(stream.LeastPushMemory(bodyLimit(c.maxEvent)))
	fs.must(c.limits.pushMemory == 0 || c.limits.pushMemory >= least && c.limits.pushMemory <= 1<<40, "push-memory",
		"--push-memory %v: give %v or more, which the largest pushes need (--max-event-size), or 0 for the default", &c.limits.pushMemory, &least)
	c.tls.validate(fs, c.access.clientName)
	c.cluster.validate(fs, c.immediate)
	fs.must(!c.cluster.on() || c.api.onceWindow == 0 || c.api.onceWindow >= 3*time.Minute, "idempotency-window",
		"--idempotency-window %v: give 3m or more in a cluster, or 0 for none: the stream remembers pushes for two minutes itself", (*ageValue)(&c.api.onceWindow))
}

// descriptors is how many descriptors streams leave to the rest of the hub. A log on disk may want hundreds for its
// tables.
func (c *serveConfig) descriptors() int {
	d := stream.DescriptorStats()
	switch {
	case c.reserve > 0:
		return c.reserve
	case c.memory:
		return d.Reserve
	}
	return min(d.Limit/2, 600)
}

// checkListen refuses what is no address, and addresses that other machines could reach where anybody may do anything:
// whoever reaches the hub may then push to and read from everybody.
func (c *serveConfig) checkListen() error {
	host, port, err := net.SplitHostPort(c.listen)
	if err != nil || port == "" {
		return usagef("--listen %q: give host:port, such as %s", c.listen, defaultListen)
	}
	if n, err := strconv.ParseUint(port, 10, 32); err == nil && n > math.MaxUint16 {
		return usagef("--listen %q: a port is a number up to %d (0 takes any free one)", c.listen, math.MaxUint16)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return usagef("--listen %q: %q is no port; give a number up to %d (0 takes any free one)", c.listen, port, math.MaxUint16)
	}
	if c.public() || isLoopback(host) {
		return nil
	}
	return usagef("--listen %s: without authorization only loopback addresses (127.0.0.1, [::1], localhost) are allowed, because anyone who reaches the hub could read and push everything; give a key of JWTs, --token-file or --tls-client-name, or say --insecure", c.listen)
}

// public reports whether others may reach the hub: it asks who they are, or was told that it need not.
func (c *serveConfig) public() bool { return c.access.on() || c.access.insecure }

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
		engine.WithHeartbeat(never(c.heartbeat)), engine.WithStallTimeout(never(c.stall)), engine.WithDrainTimeout(c.drain.flush),
		engine.WithMaxEventSize(int(c.maxEvent)), engine.WithQueueBytes(int(c.queue)), engine.WithChanBufferSize(c.buffer),
		engine.WithPolicy(c.policy), engine.WithTopicFigures(countedTopics), engine.WithPresence(c.api.presence),
		engine.WithCatchUpRate(int(c.limits.catchUp)),
		engine.WithMaxConnectionAge(c.drain.maxAge, c.drain.ageJitter, c.drain.retry.min, c.drain.retry.max),
	}
	opts = append(opts, c.patience.options()...)
	if c.immediate {
		opts = append(opts, engine.WithImmediateDelivery())
	}
	if c.compress {
		opts = append(opts, engine.WithEncodings(new(compress.Zstd), new(compress.Gzip)))
	}
	return opts
}
