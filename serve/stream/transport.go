package stream

import (
	"net/http"
	"sync/atomic"
)

// transport is the way that the bytes of a stream take.
type transport uint8

const (
	overSocket    transport = iota // a bare descriptor
	overTLSSocket                  // a bare descriptor, under TLS
	overHTTP1                      // a goroutine that writes HTTP/1
	overHTTP2                      // a goroutine that writes HTTP/2
	transports                     // their number
)

var transportNames = [transports]string{"socket", "tls", "http1", "http2"}

// String is how lists of connections call it.
func (t transport) String() string { return transportNames[t] }

// overResponse is the transport of a stream that has a goroutine.
func overResponse(r *http.Request) transport {
	if r.ProtoMajor >= 2 {
		return overHTTP2
	}
	return overHTTP1
}

// carried counts the streams of the process by transport.
var carried [transports]atomic.Int64

func (t transport) begin() { carried[t].Add(1) }
func (t transport) end()   { carried[t].Add(-1) }

// Transports are how many streams of the process go which way now.
type Transports struct {
	Socket    int // taken over, without a goroutine
	TLSSocket int // the same under TLS
	HTTP1     int // through a goroutine
	HTTP2     int // through a goroutine, over HTTP/2
}

// TransportStats returns the state of the process.
func TransportStats() Transports {
	n := func(t transport) int { return int(max(carried[t].Load(), 0)) }
	return Transports{Socket: n(overSocket), TLSSocket: n(overTLSSocket), HTTP1: n(overHTTP1), HTTP2: n(overHTTP2)}
}
