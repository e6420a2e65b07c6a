package limit

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/serve/stream"
)

// Config are the bounds of a [Gate]; 0 is no bound, each.
type Config struct {
	// Proxies say where requests come from; nil: the connection's other end.
	Proxies *Proxies

	// Connections are the streams at one time in all; UserConnections and
	// AddrConnections those of one user and of one address. A grant's own limit
	// takes the place of UserConnections.
	Connections, UserConnections, AddrConnections int

	// Requests are those to stream or push of one address, Connects the streams
	// that one user begins.
	Requests, Connects Rate

	// PushEvents and PushBytes are the events, and the bytes of the bodies, that
	// one user pushes. A grant's own limit takes the place of PerSecond.
	PushEvents, PushBytes Rate

	// Keys is how many users and addresses are told apart; 0 is [DefaultKeys].
	Keys int

	now func() time.Time
}

// retryBusy is how long a client is told to wait where too many streams are open:
// nobody knows when one ends.
const retryBusy = 5 * time.Second

// Gate implements [stream.Gate]: it bounds what users and addresses do. Callers
// without a user count by their address, as users of their own kind. What is
// beyond the bound of all is answered by 503, what is beyond one's own by 429, both
// with Retry-After.
type Gate struct {
	c        Config
	streams  atomic.Int64
	users    Counts[caller]
	addrs    Counts[netip.Prefix]
	requests *Buckets[netip.Prefix]
	connects *Buckets[caller]
	events   *Buckets[caller]
	bytes    *Buckets[caller]
}

// caller is whom limits are for: a user, or an address where there is none.
type caller struct {
	user string
	addr netip.Prefix
}

// NewGate returns a gate with these bounds.
func NewGate(c Config) *Gate {
	if c.now == nil {
		c.now = time.Now
	}
	return &Gate{
		c: c, requests: NewBuckets[netip.Prefix](c.Keys), connects: NewBuckets[caller](c.Keys),
		events: NewBuckets[caller](c.Keys), bytes: NewBuckets[caller](c.Keys),
	}
}

// Streams is how many there are.
func (g *Gate) Streams() int { return int(g.streams.Load()) }

func (g *Gate) addrOf(r *http.Request) netip.Prefix { return Client(g.c.Proxies.ClientAddr(r)) }

func (g *Gate) callerOf(r *http.Request, grant *stream.Grant) caller {
	if grant.User != "" {
		return caller{user: grant.User}
	}
	return caller{addr: g.addrOf(r)}
}

// Knock implements [stream.Gate].
func (g *Gate) Knock(r *http.Request) error {
	if g.c.Connections > 0 && r.Method != http.MethodPost && g.Streams() >= g.c.Connections {
		return full() // of a storm, only this is paid
	}
	if g.c.Requests.PerSecond <= 0 {
		return nil
	}
	return tooFast("requests of this address", g.requests.Take(g.c.now(), g.addrOf(r), g.c.Requests, 1))
}

// Enter implements [stream.Gate].
func (g *Gate) Enter(r *http.Request, grant *stream.Grant) (leave func(), err error) {
	who, addr := g.callerOf(r, grant), g.addrOf(r)
	if err := tooFast("streams of this user", g.connects.Take(g.c.now(), who, g.c.Connects, 1)); err != nil {
		return nil, err
	}
	most := g.c.UserConnections
	if grant.Limits.Connections > 0 {
		most = grant.Limits.Connections
	}
	if !g.users.Acquire(who, most) {
		return nil, tooMany("user", most)
	}
	if !g.addrs.Acquire(addr, g.c.AddrConnections) {
		g.users.Release(who)
		return nil, tooMany("address", g.c.AddrConnections)
	}
	if n := g.streams.Add(1); g.c.Connections > 0 && n > int64(g.c.Connections) {
		g.leave(who, addr)
		return nil, full()
	}
	return func() { g.leave(who, addr) }, nil
}

func (g *Gate) leave(who caller, addr netip.Prefix) {
	g.streams.Add(-1)
	g.addrs.Release(addr)
	g.users.Release(who)
}

// Push implements [stream.Gate].
func (g *Gate) Push(r *http.Request, grant *stream.Grant, events, bytes int) error {
	who, now := g.callerOf(r, grant), g.c.now()
	rate := overridden(g.c.PushEvents, grant.Limits.PushEvents)
	if err := tooFast("events pushed", g.events.Take(now, who, rate, events)); err != nil {
		return err
	}
	rate = overridden(g.c.PushBytes, grant.Limits.PushBytes)
	return tooFast("bytes pushed", g.bytes.Take(now, who, rate, bytes))
}

// overridden is a rate, or a grant's own.
func overridden(r Rate, perSecond float64) Rate {
	if perSecond > 0 {
		return Rate{PerSecond: perSecond}
	}
	return r
}

func full() error {
	return &stream.Error{Status: http.StatusServiceUnavailable, Message: "too many connections", RetryAfter: retryBusy}
}

func tooMany(of string, most int) error {
	return &stream.Error{Status: http.StatusTooManyRequests, Message: fmt.Sprintf("this %s has %d connections, and may not have more", of, most), RetryAfter: retryBusy}
}

// tooFast is the answer to somebody who has to wait; nil where that is not so.
func tooFast(what string, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	return &stream.Error{Status: http.StatusTooManyRequests, Message: "too many " + what, RetryAfter: wait}
}
