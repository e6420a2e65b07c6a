package main

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/spatehub/spate/serve/limit"
)

// limitConfig is what callers may use.
type limitConfig struct {
	all, user, addr boundsConfig
	requests        rateValue
	topics          int
	catchUp         sizeValue // bytes a second and connection
	pushMemory      sizeValue // 0: as much as the server takes by itself

	trusted     listValue
	proxyHeader string
	proxyProto  bool
}

// boundsConfig is limit.Bounds as settings.
type boundsConfig struct {
	connections int
	connects    rateValue
	events      rateValue
	bytes       rateValue
}

func (b *boundsConfig) addFlags(fs *flagSet, suffix, of string) {
	if suffix != "" {
		fs.IntVar(&b.connections, "max-connections"+suffix, 0, "answer 429 beyond this `number` of streams of one "+of+" (0: no limit)")
	}
	b.bytes.bytes = true
	whose := "all together"
	if suffix != "" {
		whose = "one " + of
	}
	fs.Var(&b.connects, "max-connects"+suffix, "`rate` of streams that "+whose+" may begin a second, such as 10, or 10:50 with 50 at once (0: no limit)")
	fs.Var(&b.events, "max-push-events"+suffix, "`rate` of events that "+whose+" may push a second, such as 100 or 100:1000 (0: no limit)")
	fs.Var(&b.bytes, "max-push-bytes"+suffix, "`rate` of bytes that "+whose+" may push a second, such as 1MiB or 1MiB:10MiB (0: no limit)")
}

func (l *limitConfig) addFlags(fs *flagSet) {
	fs.IntVar(&l.all.connections, "max-connections", 0, "answer 503 beyond this `number` of streams (0: no limit but the system's)")
	l.all.addFlags(fs, "", "")
	l.user.addFlags(fs, "-user", "user")
	l.addr.addFlags(fs, "-address", "address")
	fs.Var(&l.requests, "max-requests-address", "`rate` of requests that one address may make a second, whatever they ask for and before credentials are looked at (0: no limit)")
	fs.IntVar(&l.topics, "max-topics", 1000, "`number` of topics and patterns that a stream may follow")
	fs.Var(&l.catchUp, "max-catch-up-bytes", "`size` that one connection is sent from the log a second, such as 1MiB (0: no limit)")
	fs.Var(&l.pushMemory, "push-memory", "`size` of the memory that the bodies of pushes may take together, such as 256MiB (0: 128MiB, or room for 8 of the largest)")
	fs.Var(&l.trusted, "trusted-proxy", "`address` or network of a proxy whose word is taken for where requests come from, such as 10.0.0.0/8; may be given several times, in the environment with commas")
	fs.StringVar(&l.proxyHeader, "proxy-header", "", "`header` in which trusted proxies say it: X-Forwarded-For or Forwarded")
	fs.BoolVar(&l.proxyProto, "proxy-protocol", false, "connections of trusted proxies begin with a PROXY protocol header that says it")
}

func (l *limitConfig) validate(fs *flagSet) {
	for name, n := range map[string]int{"max-connections": l.all.connections, "max-connections-user": l.user.connections, "max-connections-address": l.addr.connections} {
		fs.must(n >= 0, name, "--%s %d: give a positive number, or 0 for no limit", name, n)
	}
	fs.must(l.topics >= 1 && l.topics <= 1000, "max-topics", "--max-topics %d: give 1 to 1000", l.topics)
	fs.must(l.catchUp == 0 || l.catchUp >= 1<<10 && l.catchUp <= 1<<30, "max-catch-up-bytes", "--max-catch-up-bytes %v: give 1KiB to 1GiB, or 0 for no limit", &l.catchUp)
	_, err := limit.NewProxies(l.trusted.values, "")
	fs.must(err == nil, "trusted-proxy", "--trusted-proxy: %v", err)
	_, err = limit.NewProxies(nil, l.proxyHeader)
	fs.must(err == nil, "proxy-header", "--proxy-header: %v", err)
	told := l.proxyHeader != "" || l.proxyProto
	fs.must(len(l.trusted.values) == 0 || told, "trusted-proxy", "--trusted-proxy takes a way in which the proxy says where requests come from: give --proxy-header or --proxy-protocol")
	for name, given := range map[string]bool{"proxy-header": l.proxyHeader != "", "proxy-protocol": l.proxyProto} {
		fs.must(!given || len(l.trusted.values) > 0, name, "--%s: nobody's word is taken without --trusted-proxy", name)
	}
	fs.must(l.proxyHeader == "" || !l.proxyProto, "proxy-protocol", "--proxy-protocol and --proxy-header contradict each other: give the one that the proxy sets")
}

// proxies are whose word is taken for where requests come from.
func (l *limitConfig) proxies() (*limit.Proxies, error) {
	return limit.NewProxies(l.trusted.values, l.proxyHeader)
}

// gate are the bounds for the gate, which validate has found to be good.
func (l *limitConfig) gate(proxies *limit.Proxies) limit.Config {
	return limit.Config{Proxies: proxies, All: l.all.bounds(), User: l.user.bounds(), Addr: l.addr.bounds(), Requests: l.requests.rate}
}

func (b *boundsConfig) bounds() limit.Bounds {
	return limit.Bounds{Connections: b.connections, Connects: b.connects.rate, PushEvents: b.events.rate, PushBytes: b.bytes.rate}
}

// rateValue is a rate a second, and how much of it may come at once where that is more or less than a second's.
type rateValue struct {
	bytes bool // in the units of sizes
	rate  limit.Rate
}

func (v *rateValue) String() string {
	if v.rate.PerSecond == 0 {
		return "0"
	}
	text := v.number(v.rate.PerSecond)
	if v.rate.Burst > 0 {
		text += ":" + v.number(float64(v.rate.Burst))
	}
	return text
}

func (v *rateValue) number(n float64) string {
	if v.bytes {
		size := sizeValue(n)
		return size.String()
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// Set parses text.
func (v *rateValue) Set(text string) error {
	wrong := errors.New("give a rate a second, such as 10, 0.5, or 10:50 with 50 at once")
	if v.bytes {
		wrong = errors.New("give a size a second, such as 64KiB, or 64KiB:1MiB with 1MiB at once")
	}
	first, second, burst := strings.Cut(text, ":")
	var r limit.Rate
	var ok bool
	if r.PerSecond, ok = v.parse(first); !ok {
		return wrong
	}
	if burst {
		n, ok := v.parse(second)
		if !ok || n < 1 || n != math.Trunc(n) || r.PerSecond == 0 {
			return wrong
		}
		r.Burst = int(n)
	}
	v.rate = r
	return nil
}

// maxRate bounds rates and bursts: beyond it they bind nobody, and the sums of buckets would lose their places.
const maxRate = 1 << 40

func (v *rateValue) parse(text string) (float64, bool) {
	if v.bytes {
		var size sizeValue
		err := size.Set(text)
		return float64(size), err == nil && size <= maxRate
	}
	if strings.Trim(text, "0123456789.") != "" { // no signs, exponents, NaN
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && n <= maxRate && (n == 0 || n >= 0.001)
}
