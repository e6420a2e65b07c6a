package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spatehub/spate/loadtest/internal/pacer"
)

// Limits that keep a typing error from becoming a run.
const (
	maxStreams     = 1_000_000
	maxConnections = 1024
	maxTopics      = 1_000_000
	maxProcs       = 256
)

// Normalize fills in what follows from other values and checks everything. The
// error lists all faults at once, each with what to write instead.
func (c *Config) Normalize() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	between := func(flag string, v, lo, hi int) {
		if v < lo || v > hi {
			fault("-%s %d: give %d to %d", flag, v, lo, hi)
		}
	}
	between("streams", c.Streams, 0, maxStreams)
	between("connections", c.Connections, 1, maxConnections)
	between("topics", c.Topics, 0, maxTopics)
	between("topics-per-stream", c.TopicsPerStream, 0, 64)
	between("procs", c.Procs, 1, maxProcs)
	between("loops", c.Loops, 1, 64)
	between("batch", c.Batch, 1, 10_000)
	between("users", c.Users, 0, maxStreams)
	if c.Users == 0 {
		c.Users = max(c.Streams, 1)
	}
	if c.Streams > 0 && c.Streams < c.Procs*c.Loops {
		fault("-streams %d: that is fewer than one for each of %d processes with %d loops", c.Streams, c.Procs, c.Loops)
	}
	if c.Slow+c.Stall > 1 {
		fault("-slow and -stall together exceed all streams")
	}
	if c.ConnectRate <= 0 {
		fault("-connect-rate %v: give connections a second, such as 2000", c.ConnectRate)
	}
	if c.SlowRate < 1 {
		fault("-slow-rate %d: give bytes a second, such as 1024", c.SlowRate)
	}
	if c.Interval <= 0 || c.ConnectTimeout <= 0 || c.RampTimeout <= 0 {
		fault("-interval, -connect-timeout and -ramp-timeout must be above 0")
	}
	for _, s := range c.Storms {
		if s.At >= c.Duration {
			fault("-storm %s: the run ends after %s (-duration)", s.At, c.Duration)
		}
	}
	faults = append(faults, c.checkURL()...)
	faults = append(faults, c.checkMove()...)
	faults = append(faults, c.checkFinite()...)
	faults = append(faults, c.checkUnused()...)
	faults = append(faults, c.checkGroups()...)
	faults = append(faults, c.checkPublish()...)
	faults = append(faults, c.checkAddresses()...)
	if c.RunID != "" {
		if _, err := strconv.ParseUint(c.RunID, 16, 32); err != nil {
			fault("-run-id %q: give up to 8 hexadecimal digits", c.RunID)
		}
	}
	return errors.Join(faults...)
}

// checkUnused finds settings that the others leave without an effect: whoever gives
// them expects one.
func (c *Config) checkUnused() []error {
	var faults []error
	unless := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	unless(c.PushBody == "" || c.Adapter == "template", "-push-body is for -adapter template: %q makes its own", c.Adapter)
	unless(c.SubKey == "" || c.Adapter == "mercure", "-sub-key is for -adapter mercure, not %q", c.Adapter)
	unless(c.Mode != ModePortable || c.Loops <= 1, "-loops %d: event loops are of raw mode; portable mode uses every processor", c.Loops)
	unless(c.PerConn == 0 || c.HTTP2, "-streams-per-connection %d: only HTTP/2 has several streams in a connection (-http2)", c.PerConn)
	unless(c.Silence == 0 || c.Observe(), "-silence watches deployments that publish by themselves: add -publish=false or -adapter none")
	unless(c.TimeFrom == "" || c.Observe(), "-time-from is for deployments that publish by themselves: events of loadtest carry their time")
	unless(len(c.Agents) == 0 || c.Procs == 1, "-procs %d: with -agents each of them is one process; start more agents", c.Procs)
	unless(len(c.Agents) == 0 || c.Streams >= len(c.Agents), "-streams %d: that is fewer than one for each of %d agents", c.Streams, len(c.Agents))
	unless(c.Silence >= 0, "-silence %s: it must not be negative", c.Silence)
	return faults
}

// checkFinite checks what belongs to streams that come to an end.
func (c *Config) checkFinite() []error {
	var faults []error
	if !c.Finite {
		for flag, set := range map[string]bool{"-end-marker": c.EndMarker != "", "-token-from": c.TokenFrom != "", "-think": c.Think != "", "-arrivals": c.Arrivals != ""} {
			if set {
				faults = append(faults, fmt.Errorf("%s is for streams that come to an end: add -finite", flag))
			}
		}
		return faults
	}
	if c.Publish {
		faults = append(faults, errors.New("-finite: the server answers each request with a stream of its own, so nothing is published: use -adapter none"))
	}
	if c.Churn > 0 || len(c.Storms) > 0 || c.Slow+c.Stall > 0 {
		faults = append(faults, errors.New("-finite streams do not come back: -churn, -storm, -slow and -stall are for lasting ones"))
	}
	if _, _, err := ParseThink(c.Think); err != nil {
		faults = append(faults, fmt.Errorf("-think %w", err))
	}
	if c.Arrivals != "" {
		if c.Think != "" {
			faults = append(faults, errors.New("-arrivals and -think: either requests come on schedule, or each stream pauses between its own"))
		}
		p, err := pacer.Parse(c.Arrivals)
		switch _, closed := p.(pacer.Max); {
		case err != nil:
			faults = append(faults, fmt.Errorf("-arrivals: %w", err))
		case closed:
			faults = append(faults, errors.New("-arrivals max: leave -arrivals away, then each stream asks again as soon as it is free"))
		}
	}
	return faults
}

// ParseThink reads "1s" or "1s-3s"; "" is no pause.
func ParseThink(s string) (lo, hi time.Duration, err error) {
	if s == "" {
		return 0, 0, nil
	}
	first, last, two := strings.Cut(s, "-")
	if !two {
		last = first
	}
	lo, err1 := time.ParseDuration(first)
	hi, err2 := time.ParseDuration(last)
	if err1 != nil || err2 != nil || lo < 0 || hi < lo {
		return 0, 0, fmt.Errorf("%q: write a duration such as 2s, or two such as 1s-5s", s)
	}
	return lo, hi, nil
}

func (c *Config) checkURL() []error {
	if c.Streams == 0 {
		return nil
	}
	if c.URL == "" {
		return []error{errors.New("no URL: give the stream's, for example -url http://127.0.0.1:8080/events?uid={{.User}}, or just the server's")}
	}
	scheme, rest, ok := strings.Cut(c.URL, "://")
	if !ok || scheme != "http" && scheme != "https" || rest == "" {
		return []error{fmt.Errorf("-url %q: it must begin with http:// or https://", c.URL)}
	}
	switch c.Mode {
	case ModeAuto:
		c.Mode = ModePortable
		if RawSupported() && scheme == "http" && !c.HTTP2 {
			c.Mode = ModeRaw
		}
	case ModeRaw:
		switch {
		case !RawSupported():
			return []error{fmt.Errorf("-mode raw needs Linux; this is %s: use -mode portable", runtime.GOOS)}
		case scheme != "http":
			return []error{errors.New("-mode raw speaks plain HTTP/1.1: use -mode portable for https")}
		case c.HTTP2:
			return []error{errors.New("-mode raw speaks plain HTTP/1.1: use -mode portable with -http2")}
		}
	case ModePortable:
	default:
		return []error{fmt.Errorf("-mode %q: it is auto, raw or portable", c.Mode)}
	}
	return nil
}

// RawSupported reports whether this system has the raw reader.
func RawSupported() bool { return runtime.GOOS == "linux" }

func (c *Config) checkPublish() []error {
	var faults []error
	m, err := ParseMix(c.To)
	if err != nil {
		faults = append(faults, fmt.Errorf("-to %w", err))
	}
	if m.Topics > 0 && c.Topics == 0 {
		faults = append(faults, errors.New("-to topics: say how many there are, for example -topics 100"))
	}
	if c.Duration <= 0 {
		faults = append(faults, fmt.Errorf("-duration %s: it must be above 0", c.Duration))
	}
	if c.WarmUp >= c.Duration && c.WarmUp > 0 {
		faults = append(faults, fmt.Errorf("-warmup %s leaves nothing of -duration %s", c.WarmUp, c.Duration))
	}
	if !c.Publish {
		if c.Streams == 0 {
			faults = append(faults, errors.New("-streams 0 without a publisher leaves nothing to do"))
		}
		return faults
	}
	p, err := c.Pacer()
	if err != nil {
		faults = append(faults, fmt.Errorf("-%w", err))
	} else {
		c.Rate = p.String()
	}
	if _, err := ParseSize(c.Size); err != nil {
		faults = append(faults, fmt.Errorf("-size %w", err))
	}
	if strings.ContainsFunc(c.EventType, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' || r == 0x7f }) {
		faults = append(faults, fmt.Errorf("-event %q: no quotes, backslashes or control characters", c.EventType))
	}
	if c.PushURL != "" {
		if u, err := url.Parse(strings.NewReplacer("{{", "", "}}", "").Replace(c.PushURL)); err != nil || u.Host == "" {
			faults = append(faults, fmt.Errorf("-push-url %q: it must begin with http:// or https:// and name a host", c.PushURL))
		}
	}
	return faults
}

func (c *Config) checkAddresses() []error {
	var faults []error
	for _, s := range c.Sources {
		if net.ParseIP(s) == nil {
			faults = append(faults, fmt.Errorf("-source %q: it is not an address of this machine, such as 127.0.0.2", s))
		}
	}
	return faults
}

// ParseAddresses reads a list such as "127.0.0.1,127.0.0.5-127.0.0.9"; ranges
// are of IPv4 addresses. Entries that are not a range are returned as they are.
func ParseAddresses(s string) ([]string, error) {
	var list []string
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		first, last, isRange := strings.Cut(part, "-")
		a, b := net.ParseIP(first).To4(), net.ParseIP(last).To4()
		if !isRange || a == nil || b == nil {
			if part == "" {
				return nil, fmt.Errorf("%q: an address is empty", s)
			}
			list = append(list, part)
			continue
		}
		lo, hi := ip32(a), ip32(b)
		if hi < lo || hi-lo >= 1<<16 {
			return nil, fmt.Errorf("%q is not a range of up to 65536 addresses", part)
		}
		for v := lo; v <= hi; v++ {
			list = append(list, net.IPv4(byte(v>>24), byte(v>>16), byte(v>>8), byte(v)).String())
		}
	}
	return list, nil
}

func ip32(ip net.IP) uint64 {
	return uint64(ip[0])<<24 | uint64(ip[1])<<16 | uint64(ip[2])<<8 | uint64(ip[3])
}
