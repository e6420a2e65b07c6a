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

// hello is the first thing in every stream: it makes proxies and clients see
// the response begin.
const hello = "spate"

// streamType is the type of every stream, and of nothing else.
const streamType = "text/event-stream"

// What every stream says. X-Accel-Buffering keeps nginx from holding events
// back, no-transform other proxies from compressing them.
var ours = []header{
	{"Content-Type", streamType},
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

// setHead puts the stream's headers into h, which has those of middleware. A
// coding that middleware announces stays, since it is middleware that applies it.
//
// There is no "Connection: close", although a connection that was taken over ends
// with its stream: to some clients, Node's fetch among them, it says that the end
// of the connection is the end of the body, and a killed hub would look like an
// orderly end to them, whatever chunk is missing.
func (c *config) setHead(h http.Header, k coding) {
	for name := range h {
		if fixed(name) && name != "Content-Encoding" {
			delete(h, name)
		}
	}
	// As Set does, but for one piece of memory for all.
	values := make([]string, 0, len(ours)+len(c.extra))
	for _, list := range [...][]header{ours, c.extra} {
		for _, o := range list {
			n := len(values)
			values = append(values, o.value)
			h[o.name] = values[n : n+1 : n+1]
		}
	}
	k.announce(h)
}

// headTimeout bounds the write of what a stream begins with. The buffer of a new
// connection has room for it; only one whose client sent its request without
// reading the answer to the one before has to wait.
const headTimeout = 10 * time.Second

// sendHead sends the response head, by way of all that is wrapped around the
// ResponseWriter: what middleware does at WriteHeader and Flush happens in every
// mode. With it goes what the body begins with, if anything; not over HTTP/2, where a
// body may have to wait. It fails where the peer is gone, and leaves its deadline set.
func (c *config) sendHead(w http.ResponseWriter, rc *http.ResponseController, r *http.Request, k coding, first []byte) error {
	// The server's time-outs are for requests that end. Writers without deadlines
	// have none to lift. Over HTTP/2 the head waits for nobody.
	_ = rc.SetReadDeadline(time.Time{})
	if r.ProtoMajor == 1 {
		_ = rc.SetWriteDeadline(time.Now().Add(headTimeout))
	}
	c.setHead(w.Header(), k)
	w.WriteHeader(http.StatusOK)
	if len(first) > 0 {
		if _, err := w.Write(first); err != nil {
			return err
		}
	}
	return rc.Flush()
}

// coded reports whether middleware has announced that it codes the body: then
// every byte has to go through it.
func coded(h http.Header) bool {
	for _, v := range h["Content-Encoding"] {
		if v != "" && !strings.EqualFold(v, "identity") {
			return true
		}
	}
	return false
}

// greeting is what the body begins with.
func (c *config) greeting(k coding) []byte {
	const most = len(": " + hello + "\n" + "retry: \n" + "9223372036854\n")
	plain := wire.AppendComment(make([]byte, 0, most), hello)
	if c.retry > 0 {
		plain = wire.AppendRetry(plain, c.retry)
	}
	if k.by == nil {
		return plain
	}
	return k.by.AppendRun(k.by.AppendStart(nil), plain)
}
