package stream

import (
	"net/http"
	"net/netip"
)

// addressOf is where a request comes from, for shares of the hub's work: its
// peer's address, of IPv6 the network, which is what one subscriber has. "" where
// there is none, as over a Unix socket.
func addressOf(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	addr := peer.Addr().Unmap().WithZone("")
	if addr.Is6() {
		network, err := addr.Prefix(64)
		if err != nil {
			return ""
		}
		return network.String()
	}
	return addr.String()
}
