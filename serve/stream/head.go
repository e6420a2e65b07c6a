package stream

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/spatehub/spate/wire"
)

// header is one line of a response head, fit to be written as it is.
type header struct{ name, value string }

// greeting is the first thing in every stream: it makes proxies and clients see
// the response begin.
const greeting = "spate"

// What every stream says. X-Accel-Buffering keeps nginx from holding events
// back, no-transform other proxies from compressing them.
var ours = []header{
	{"Content-Type", "text/event-stream"},
	{"Cache-Control", "no-cache, no-transform"},
	{"X-Accel-Buffering", "no"},
}

// fixed reports whether a header (by canonical name) frames the body or says
// what it is: that is decided here alone.
func fixed(name string) bool {
	switch name {
	case "Content-Type", "Content-Length", "Content-Encoding", "Transfer-Encoding",
		"Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "Trailer", "Te":
		return true
	}
	return strings.HasPrefix(name, http.TrailerPrefix)
}

// sanitized returns the headers that may be added to a head.
func sanitized(headers map[string]string) []header {
	var list []header
	for name, value := range headers {
		name = http.CanonicalHeaderKey(name)
		if httpguts.ValidHeaderFieldName(name) && !fixed(name) {
			list = append(list, header{name, cleanValue(value)})
		}
	}
	slices.SortFunc(list, func(a, b header) int { return strings.Compare(a.name, b.name) })
	return list
}

// cleanValue makes v one line: no byte of it can begin another header.
func cleanValue(v string) string {
	if httpguts.ValidHeaderFieldValue(v) {
		return v
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return ' '
		}
		return r
	}, v)
}

// setHead puts the stream's headers into h, for a ResponseWriter to write.
func (c *config) setHead(h http.Header) {
	h.Del("Content-Length")
	for _, o := range ours {
		h.Set(o.name, o.value)
	}
	for _, o := range c.extra {
		h.Set(o.name, o.value)
	}
}

// appendHead appends a complete HTTP/1 response head: what middleware has put
// into set, then ours and the extra ones. The body ends where the connection
// does.
func (c *config) appendHead(dst []byte, minor int, set http.Header, now time.Time) []byte {
	// HTTP/1.0 clients, some proxies among them, get their own version back.
	if minor == 0 {
		dst = append(dst, "HTTP/1.0 200 OK\r\n"...)
	} else {
		dst = append(dst, "HTTP/1.1 200 OK\r\n"...)
	}
	dated := false
	for name, values := range set {
		if fixed(name) || c.replaces(name) || !httpguts.ValidHeaderFieldName(name) {
			continue
		}
		dated = dated || name == "Date"
		for _, v := range values {
			dst = appendHeader(dst, name, cleanValue(v))
		}
	}
	for _, o := range ours {
		if !c.overrides(o.name) {
			dst = appendHeader(dst, o.name, o.value)
		}
	}
	for i, o := range c.extra {
		if !extraHas(c.extra[i+1:], o.name) {
			dated = dated || o.name == "Date"
			dst = appendHeader(dst, o.name, o.value)
		}
	}
	if !dated {
		dst = append(dst, "Date: "...)
		dst = now.UTC().AppendFormat(dst, http.TimeFormat)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "Connection: close\r\n\r\n"...)
}

// appendGreeting appends what the body begins with.
func (c *config) appendGreeting(dst []byte) []byte {
	dst = wire.AppendComment(dst, greeting)
	if c.retry > 0 {
		dst = wire.AppendRetry(dst, c.retry)
	}
	return dst
}

// replaces reports whether name is one of ours or of the extra headers.
func (c *config) replaces(name string) bool {
	return extraHas(ours, name) || c.overrides(name)
}

// overrides reports whether name is one of the extra headers.
func (c *config) overrides(name string) bool { return extraHas(c.extra, name) }

func extraHas(list []header, name string) bool {
	for i := range list {
		if list[i].name == name {
			return true
		}
	}
	return false
}

func appendHeader(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}
