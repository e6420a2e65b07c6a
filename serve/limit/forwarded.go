package limit

import (
	"net/netip"
	"strings"
)

// These read the hops of a header from its end, one at a time: what a client sent
// stands in front of what proxies added, and whatever it is, unbalanced quotes
// included, it cannot change how the rest is read.

// lastXForwardedFor returns the last address of an X-Forwarded-For line, what
// stands in front of it, and whether anything does.
func lastXForwardedFor(line string) (addr netip.Addr, rest string, ok, more bool) {
	if i := strings.LastIndexByte(line, ','); i >= 0 {
		line, rest, more = line[i+1:], line[:i], true
	}
	addr, ok = parseNode(trim(line))
	return addr, rest, ok, more
}

// lastForwarded returns the address of the last element of a Forwarded line
// (RFC 7239), likewise.
func lastForwarded(line string) (addr netip.Addr, rest string, ok, more bool) {
	at := lastOutsideQuotes(line, ',')
	if at >= 0 {
		line, rest, more = line[at+1:], line[:at], true
	}
	for line != "" {
		pair := line
		if at := lastOutsideQuotes(line, ';'); at >= 0 {
			pair, line = line[at+1:], line[:at]
		} else {
			line = ""
		}
		name, value, has := strings.Cut(trim(pair), "=")
		if !has || !strings.EqualFold(name, "for") {
			continue
		}
		if ok {
			return netip.Addr{}, rest, false, more // twice
		}
		if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		if addr, ok = parseNode(value); !ok {
			return netip.Addr{}, rest, false, more
		}
	}
	return addr, rest, ok, more
}

// lastOutsideQuotes is the place of the last c of s that is in no quoted string,
// or -1. No address has an escaped quote: one makes what it is in unreadable.
func lastOutsideQuotes(s string, c byte) int {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == c && !quoted:
			return i
		}
	}
	return -1
}

// parseNode reads an address with or without a port. Names that hide one
// ("unknown", "_proxy") are none.
func parseNode(s string) (netip.Addr, bool) {
	if len(s) > len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535") {
		return netip.Addr{}, false
	}
	if n := len(s); n > 2 && s[0] == '[' && s[n-1] == ']' {
		s = s[1 : n-1]
		if !strings.Contains(s, ":") {
			return netip.Addr{}, false
		}
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		both, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = both.Addr()
	}
	if addr.Zone() != "" {
		return netip.Addr{}, false
	}
	return plain(addr), true
}

// trim takes the white space of a header away.
func trim(s string) string { return strings.Trim(s, " \t") }
