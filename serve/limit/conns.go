package limit

import (
	"net"
	"net/http"
)

// spareConns is how many connections of one address may be no streams, at the least:
// those that push, that ask for a stream that is one too many, and are told so.
const spareConns = 100

// ConnState is for [http.Server.ConnState]. It counts the connections of each address
// that are not, or not yet, streams of HTTP/1.1, and closes those that come while there
// are more than its bound of connections, or 100 where that is less: who connects and
// asks for nothing could else take all descriptors, whatever the bounds of streams. What
// comes from a trusted proxy is not counted, nor over a Unix socket, and nothing is closed
// where addresses have no bound of connections.
//
// One gate counts for one server, or several, from their beginning on.
func (g *Gate) ConnState(conn net.Conn, state http.ConnState) {
	if state != http.StateNew && state != http.StateHijacked && state != http.StateClosed {
		return
	}
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return
	}
	c, addr := g.c.Load(), plain(tcp.AddrPort().Addr())
	if c.Proxies.Trusts(addr) { // which does not change
		return
	}
	from := networkOf(Client(addr))
	if state != http.StateNew {
		g.conns.Release(from)
		return
	}
	g.conns.Acquire(from, 0)
	if most := c.Addr.Connections; most > 0 && g.conns.Held(from) > max(most, spareConns) {
		conn.Close() // the server tells of its end
	}
}
