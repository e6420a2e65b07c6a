package limit

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/serve/stream"
)

// Bounds are what may be used; 0 is no bound, each.
type Bounds struct {
	Connections int  // streams at one time
	Connects    Rate // streams that begin
	PushEvents  Rate // events that are pushed
	PushBytes   Rate // bytes of the bodies that push them
}

// Config are the bounds of a [Gate].
type Config struct {
	// Proxies say where requests come from; nil: the connection's other end.
	Proxies *Proxies

	// All, User and Addr are the bounds of all together, of each user and of each
	// address. Those of a grant take the place of User's: its connections, and the
	// PerSecond of its rates.
	All, User, Addr Bounds

	// Requests are those of one address, whatever they ask for and whether their
	// credentials are good.
	Requests Rate

	// Keys is how many users and addresses are told apart by each rate; 0 is
	// [DefaultKeys]. It stays what it was when the gate was made.
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
	c         atomic.Pointer[Config]
	streams   atomic.Int64
	users     Counts[string]
	strangers Counts[network] // in the place of users
	addrs     Counts[network]
	conns     Counts[network] // of addresses, that are no streams
	requests  *Buckets[network]
	connects  tables
	events    tables
	bytes     tables
}

// tables are one for each kind of caller: strangers of very many addresses can't
// crowd out users, nor either of them what is for all.
type tables [kinds]*Buckets[caller]

func newTables(keys int) (t tables) {
	for i := range t {
		t[i] = NewBuckets[caller](keys)
	}
	return t
}

// caller is whom limits are for: a user, an address where there is none, or all.
type caller struct {
	user string
	addr network
	kind callerKind
}

// network is what an address counts as, which [Client] says, in few bytes: there is one
// for each stream.
type network struct {
	bits uint64 // all of an IPv4 address, or those of an IPv6 network
	long byte   // how many count: 0 is a Unix socket's
}

func networkOf(p netip.Prefix) network {
	if !p.IsValid() {
		return network{}
	}
	a, n := p.Addr().As16(), network{long: byte(p.Bits())}
	if p.Addr().Is4() {
		n.bits = binary.BigEndian.Uint64(a[8:])
	} else {
		n.bits = binary.BigEndian.Uint64(a[:8])
	}
	return n
}

type callerKind byte

const (
	aUser     callerKind = iota
	aStranger            // an address in the place of a user
	anAddr
	everybody
	kinds
)

// NewGate returns a gate with these bounds.
func NewGate(c Config) *Gate {
	g := &Gate{
		requests: NewBuckets[network](c.Keys),
		connects: newTables(c.Keys), events: newTables(c.Keys), bytes: newTables(c.Keys),
	}
	g.Configure(c)
	return g
}

// Configure gives the gate other bounds. What is held and was used counts on; what
// is held beyond them stays.
func (g *Gate) Configure(c Config) {
	if c.now == nil {
		c.now = time.Now
	}
	g.c.Store(&c)
}

// Streams is how many there are.
func (g *Gate) Streams() int { return int(g.streams.Load()) }

// Knock implements [stream.Gate].
func (g *Gate) Knock(r *http.Request) error {
	c := g.c.Load()
	if c.All.Connections > 0 && r.Method != http.MethodPost && g.Streams() >= c.All.Connections {
		return full() // of a storm, only this is paid
	}
	return g.Request(r)
}

// Request is Knock for requests that neither stream nor push.
func (g *Gate) Request(r *http.Request) error {
	c := g.c.Load()
	if c.Requests.PerSecond <= 0 {
		return nil
	}
	return tooFast("requests of this address", g.requests.Take(c.now(), c.addrOf(r), c.Requests, 1))
}

// Enter implements [stream.Gate].
func (g *Gate) Enter(r *http.Request, grant *stream.Grant) (leave func(), err error) {
	c := g.c.Load()
	who, addr := c.callersOf(r, grant)
	err = spend(g.connects, c.now(), "streams", 1, []charge{
		{who, c.User.Connects, "this user"}, {addr, c.Addr.Connects, "this address"}, {all, c.All.Connects, ""}})
	if err != nil {
		return nil, err
	}
	most := c.User.Connections
	if grant.Limits.Connections > 0 {
		most = grant.Limits.Connections
	}
	if !g.acquire(grant.User, addr.addr, most) {
		return nil, tooMany("user", most)
	}
	if !g.addrs.Acquire(addr.addr, c.Addr.Connections) {
		g.release(grant.User, addr.addr)
		return nil, tooMany("address", c.Addr.Connections)
	}
	user, from := grant.User, addr.addr // all that a stream keeps
	leave = func() {
		g.streams.Add(-1)
		g.addrs.Release(from)
		g.release(user, from)
	}
	if n := g.streams.Add(1); c.All.Connections > 0 && n > int64(c.All.Connections) {
		leave()
		return nil, full()
	}
	return leave, nil
}

// acquire counts a stream for its user, or a stranger's address.
func (g *Gate) acquire(user string, from network, most int) bool {
	if user == "" {
		return g.strangers.Acquire(from, most)
	}
	return g.users.Acquire(user, most)
}

func (g *Gate) release(user string, from network) {
	if user == "" {
		g.strangers.Release(from)
	} else {
		g.users.Release(user)
	}
}

// Push implements [stream.Gate].
func (g *Gate) Push(r *http.Request, grant *stream.Grant, events, bytes int) error {
	c := g.c.Load()
	who, addr := c.callersOf(r, grant)
	now := c.now()
	err := spend(g.events, now, "events pushed", events, []charge{
		{who, overridden(c.User.PushEvents, grant.Limits.PushEvents), "this user"},
		{addr, c.Addr.PushEvents, "this address"}, {all, c.All.PushEvents, ""}})
	if err != nil {
		return err
	}
	return spend(g.bytes, now, "bytes pushed", bytes, []charge{
		{who, overridden(c.User.PushBytes, grant.Limits.PushBytes), "this user"},
		{addr, c.Addr.PushBytes, "this address"}, {all, c.All.PushBytes, ""}})
}

func (c *Config) addrOf(r *http.Request) network { return networkOf(Client(c.Proxies.ClientAddr(r))) }

// callersOf are whom a request counts for, beside all.
func (c *Config) callersOf(r *http.Request, grant *stream.Grant) (who, addr caller) {
	addr = caller{addr: c.addrOf(r), kind: anAddr}
	if grant.User != "" {
		return caller{user: grant.User}, addr
	}
	return caller{addr: addr.addr, kind: aStranger}, addr
}

// all is whom the bound of all is for.
var all = caller{kind: everybody}

// charge is what one caller may use.
type charge struct {
	who  caller
	rate Rate
	name string // "": all
}

// spend takes n tokens for each, in this order: who is beyond its own rate takes
// nothing of what others share.
func spend(t tables, now time.Time, what string, n int, charges []charge) error {
	for _, c := range charges {
		wait := t[c.who.kind].Take(now, c.who, c.rate, n)
		switch {
		case wait <= 0:
		case c.name == "":
			return &stream.Error{Status: http.StatusServiceUnavailable, Message: "too many " + what, RetryAfter: wait}
		default:
			return tooFast(what+" of "+c.name, wait)
		}
	}
	return nil
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
