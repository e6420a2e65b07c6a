package limit

import (
	"net"
	"net/http"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// spareConns is how many connections an address may have beside its streams: those that
// push, that ask for a stream that is one too many, and are told so.
const spareConns = 100

// ConnState is for [http.Server.ConnState]. It counts the connections of each address
// that are not, or not yet, streams that were taken over, and closes those that come
// while there are 100 more than its bound of connections, which may all be streams that
// are not: who connects and asks for nothing could else take all descriptors, whatever
// the bounds of streams. What comes from a trusted proxy is not counted, nor over a Unix
// socket, and nothing is closed where addresses have no bound of connections.
//
// One gate counts for one server, or several, from their beginning on. It does not wait
// for a peer: net/http calls it for each connection before it accepts the next one.
func (g *Gate) ConnState(conn net.Conn, state http.ConnState) {
	if state != http.StateNew && state != http.StateHijacked && state != http.StateClosed {
		return
	}
	c := g.c.Load()
	addr, direct := peer(conn)
	if !direct || c.Proxies.Trusts(addr) { // which does not change
		return
	}
	from := networkOf(Client(addr))
	if state != http.StateNew {
		g.conns.Release(from)
		return
	}
	g.conns.Acquire(from, 0)
	if most := c.Addr.Connections; most > 0 && g.conns.Held(from) > most+spareConns {
		conn.Close() // the server tells of its end
	}
}

// peer is the other end of a connection; false: it comes from a trusted proxy, or by
// another way than TCP. A connection that begins with a proxy's header is not asked for
// its address, as that reads the header.
func peer(conn net.Conn) (addr netip.Addr, direct bool) {
	for {
		if _, proxied := conn.(*proxyproto.Conn); proxied {
			return addr, false
		}
		over, is := conn.(interface{ NetConn() net.Conn }) // TLS
		if !is {
			break
		}
		conn = over.NetConn()
	}
	tcp, is := conn.RemoteAddr().(*net.TCPAddr)
	if !is {
		return addr, false
	}
	return plain(tcp.AddrPort().Addr()), true
}
