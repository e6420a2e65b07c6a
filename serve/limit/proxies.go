package limit

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/pires/go-proxyproto"
)

// maxHops bounds how many proxies a request may have come through.
const maxHops = 32

// Proxies says whose word is taken for where a request comes from. The zero value
// trusts nobody: the address is the connection's.
type Proxies struct {
	trusted []netip.Prefix
	local   bool // a connection over a Unix socket is a proxy's
	header  string
}

// The headers that a proxy may tell the client's address in.
const (
	XForwardedFor = "X-Forwarded-For"
	Forwarded     = "Forwarded"
)

// NewProxies trusts the addresses and prefixes of the list, such as "10.0.0.0/8",
// "::1" or "unix" for all who come over a Unix socket, to tell the client's
// address in one header: [XForwardedFor], [Forwarded], or "" for none. The other
// one is not looked at: a proxy that sets one passes the other through from the
// client.
func NewProxies(trusted []string, header string) (*Proxies, error) {
	p := &Proxies{header: http.CanonicalHeaderKey(header)}
	if p.header != XForwardedFor && p.header != Forwarded && p.header != "" {
		return nil, fmt.Errorf("header %q tells no client's address: it may be %s or %s", header, XForwardedFor, Forwarded)
	}
	for _, s := range trusted {
		if s == "unix" {
			p.local = true
			continue
		}
		prefix, err := netip.ParsePrefix(s)
		if err != nil {
			addr, err := netip.ParseAddr(s)
			if err != nil || addr.Zone() != "" {
				return nil, fmt.Errorf("trusted proxy %q is neither an address nor a prefix such as 10.0.0.0/8", s)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		if prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("trusted proxy %q: write IPv4 addresses as such", s)
		}
		p.trusted = append(p.trusted, prefix.Masked())
	}
	return p, nil
}

// Trusts reports whether the address is a trusted proxy's.
func (p *Proxies) Trusts(addr netip.Addr) bool {
	if p == nil {
		return false
	}
	addr = plain(addr)
	for _, prefix := range p.trusted {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// ClientAddr is the address that the request comes from: the last one on its way
// that is no trusted proxy's. Where a proxy tells an address that cannot be read,
// its own is returned: its clients then count as one. The zero Addr is a Unix
// socket's, unless it is trusted and the proxy tells more.
func (p *Proxies) ClientAddr(r *http.Request) netip.Addr {
	at := remoteAddr(r)
	if p == nil || p.header == "" || !p.Trusts(at) && !(p.local && !at.IsValid()) {
		return at
	}
	read := lastXForwardedFor
	if p.header == Forwarded {
		read = lastForwarded
	}
	lines := r.Header[p.header]
	hops := 0
	for i := len(lines) - 1; i >= 0; i-- {
		for rest := lines[i]; ; hops++ {
			var addr netip.Addr
			var ok, more bool
			addr, rest, ok, more = read(rest)
			if !ok || hops == maxHops {
				return at
			}
			if at = addr; !p.Trusts(at) {
				return at
			}
			if !more {
				hops++
				break
			}
		}
	}
	return at // only proxies: the first of them
}

// remoteAddr is the other end of the request's connection.
func remoteAddr(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return plain(at.Addr())
}

// plain writes an address as it is compared: IPv4 as such, without a zone.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// Client is what an address counts as: IPv4 by itself, IPv6 by its network of 64
// bits, all of which one client may use.
func Client(addr netip.Addr) netip.Prefix {
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // the zero Addr has the zero Prefix
	return prefix
}

// Listener returns a listener for connections that begin with a PROXY protocol
// header, version 1 or 2, where they come from a trusted proxy: it has to come
// within the given time, and its source is then the connection's RemoteAddr.
// Connections of everybody else are taken as they are; a header in them is not
// understood. Connections of proxies are wrapped ones.
func (p *Proxies) Listener(inner net.Listener, headerTimeout time.Duration) net.Listener {
	return &proxyproto.Listener{
		Listener:          inner,
		ReadHeaderTimeout: headerTimeout,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			if p.trustsConn(o.Upstream) {
				return proxyproto.REQUIRE, nil
			}
			return proxyproto.SKIP, nil
		},
	}
}

func (p *Proxies) trustsConn(addr net.Addr) bool {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return p.Trusts(tcp.AddrPort().Addr())
	}
	return p != nil && p.local && strings.HasPrefix(addr.Network(), "unix")
}
