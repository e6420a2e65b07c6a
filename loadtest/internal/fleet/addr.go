package fleet

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spatehub/spate/loadtest/internal/config"
)

// portsPerSource is how many streams one local address carries before more
// addresses of the loopback network are taken: the usual range of local ports
// has 28,000.
const portsPerSource = 20_000

// Addresses tells from and to which address each stream connects. Any goroutine
// may use it.
type Addresses struct {
	sources []netip.Addr
	dests   []string
	turns   []atomic.Uint32 // how often each stream has connected; nil: all stay where they are
	mu      struct {
		sync.Mutex
		known map[string]netip.AddrPort
	}
}

// NewAddresses spreads the streams of the whole run. To a server on the
// loopback network, local addresses are added as the number of streams needs.
func NewAddresses(c *config.Config) (*Addresses, error) {
	a := &Addresses{dests: c.Dests}
	a.mu.known = map[string]netip.AddrPort{}
	if c.Move > 0 {
		a.turns = make([]atomic.Uint32, c.Streams)
	}
	for _, s := range c.Sources {
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("-source %q: %w", s, err)
		}
		a.sources = append(a.sources, ip)
	}
	if len(a.sources) == 0 && c.Streams > portsPerSource*max(1, len(c.Dests)) && onLoopback(c) {
		n := (c.Streams + portsPerSource - 1) / portsPerSource / max(1, len(c.Dests))
		for i := range n + 1 {
			a.sources = append(a.sources, netip.AddrFrom4([4]byte{127, 0, byte(i >> 8), byte(i&0xff) + 1}))
		}
	}
	return a, nil
}

// onLoopback reports whether all destinations are IPv4 loopback addresses.
func onLoopback(c *config.Config) bool {
	hosts := c.Dests
	if len(hosts) == 0 {
		_, rest, _ := strings.Cut(c.URL, "://")
		if i := strings.IndexAny(rest, "/?"); i >= 0 {
			rest = rest[:i]
		}
		hosts = []string{rest}
	}
	for _, h := range hosts {
		if host, _, err := net.SplitHostPort(h); err == nil {
			h = host
		}
		if ip, err := netip.ParseAddr(h); h != "localhost" && (err != nil || !ip.Is4() || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

// Source is the local address of stream n; the zero address leaves it to the
// system.
func (a *Addresses) Source(n int) netip.Addr {
	if len(a.sources) == 0 {
		return netip.Addr{}
	}
	return a.sources[n%len(a.sources)]
}

// Dest is where stream n connects to for u.
func (a *Addresses) Dest(n int, u *url.URL) (netip.AddrPort, error) {
	return a.resolve(a.HostPort(n, u))
}

// HostPort is Dest before names are resolved.
func (a *Addresses) HostPort(n int, u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return a.Spread(n, net.JoinHostPort(u.Hostname(), port))
}

// Spread replaces the address that stream n would connect to by one of the
// given destinations, if there are any; where streams move, each time by the next.
func (a *Addresses) Spread(n int, hostport string) string {
	if len(a.dests) == 0 {
		return hostport
	}
	_, port, _ := net.SplitHostPort(hostport)
	turn := n / max(1, len(a.sources))
	if n < len(a.turns) {
		turn += int(a.turns[n].Add(1)) - 1
	}
	d := a.dests[turn%len(a.dests)]
	if _, _, err := net.SplitHostPort(d); err == nil {
		return d
	}
	return net.JoinHostPort(strings.Trim(d, "[]"), port)
}

// resolve looks a name up once.
func (a *Addresses) resolve(hostport string) (netip.AddrPort, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ap, ok := a.mu.known[hostport]; ok {
		return ap, nil
	}
	tcp, err := net.ResolveTCPAddr("tcp", hostport)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ap := tcp.AddrPort()
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	a.mu.known[hostport] = ap
	return ap, nil
}
