//go:build linux

package rawreader

import (
	"strconv"

	"github.com/spatehub/spate/loadtest/internal/adapter"
)

// appendRequest writes the request that opens a stream.
func appendRequest(b []byte, sub adapter.Subscribe, lastID []byte) []byte {
	b = append(b, sub.Method...)
	b = append(b, ' ')
	b = append(b, sub.URL.RequestURI()...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, sub.URL.Host...)
	b = append(b, "\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\nUser-Agent: spate-loadtest\r\n"...)
	for _, h := range sub.Header {
		b = append(b, h.Name...)
		b = append(b, ": "...)
		b = append(b, h.Value...)
		b = append(b, "\r\n"...)
	}
	if len(lastID) > 0 {
		b = append(b, "Last-Event-ID: "...)
		b = append(b, lastID...)
		b = append(b, "\r\n"...)
	}
	if sub.Body != nil {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(sub.Body)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, sub.Body...)
}
