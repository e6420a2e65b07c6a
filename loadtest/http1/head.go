// Package http1 reads HTTP/1.1 responses from raw bytes without keeping or
// copying them: the head, and bodies in chunked coding. It serves the raw
// reader and the publisher, whose cost per stream and per request must be a
// fraction of net/http's.
package http1

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// MaxHead is the longest response head that is accepted, in bytes.
const MaxHead = 16 << 10

// ErrMalformed is wrapped by the errors about bytes that are not HTTP/1.1.
var ErrMalformed = errors.New("not an HTTP/1.1 response")

// Head is what matters of a response's head.
type Head struct {
	Status      int
	Chunked     bool
	Length      int64 // Content-Length; -1 if absent: the body ends with the connection
	KeepAlive   bool
	ContentType string // media type without parameters
	Encoding    string // Content-Encoding
	Location    string
}

// ParseHead reads a head at the start of b. n is its length; 0 with a nil error
// means that b does not hold all of it yet.
func ParseHead(b []byte) (h Head, n int, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) > MaxHead {
			return h, 0, fmt.Errorf("%w: no end of the header within %d bytes", ErrMalformed, MaxHead)
		}
		if len(b) >= 5 && string(b[:5]) != "HTTP/" {
			return h, 0, fmt.Errorf("%w: it begins with %q", ErrMalformed, b[:min(len(b), 20)])
		}
		return h, 0, nil
	}
	line, rest, _ := bytes.Cut(b[:end+2], []byte("\r\n"))
	proto, status, _ := bytes.Cut(line, []byte(" "))
	if len(status) < 3 || !bytes.HasPrefix(proto, []byte("HTTP/1.")) {
		return h, 0, fmt.Errorf("%w: it begins with %q", ErrMalformed, line[:min(len(line), 40)])
	}
	if h.Status, err = strconv.Atoi(string(status[:3])); err != nil {
		return h, 0, fmt.Errorf("%w: status %q", ErrMalformed, status[:3])
	}
	h.Length = -1
	h.KeepAlive = string(proto) == "HTTP/1.1"
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if err := h.header(line); err != nil {
			return h, 0, err
		}
	}
	return h, end + 4, nil
}

func (h *Head) header(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return fmt.Errorf("%w: header line %q", ErrMalformed, line[:min(len(line), 40)])
	}
	value = bytes.TrimSpace(value)
	switch {
	case is(name, "content-type"):
		media, _, _ := bytes.Cut(value, []byte(";"))
		h.ContentType = intern(bytes.ToLower(bytes.TrimSpace(media)))
	case is(name, "transfer-encoding"):
		h.Chunked = bytes.EqualFold(value, []byte("chunked"))
		if !h.Chunked {
			return fmt.Errorf("transfer-encoding %q is not supported", value)
		}
	case is(name, "content-length"):
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("%w: content-length %q", ErrMalformed, value)
		}
		h.Length = n
	case is(name, "connection"):
		if bytes.EqualFold(value, []byte("close")) {
			h.KeepAlive = false
		}
	case is(name, "content-encoding"):
		h.Encoding = string(value)
	case is(name, "location"):
		h.Location = string(value)
	}
	return nil
}

func is(name []byte, lower string) bool {
	return len(name) == len(lower) && bytes.EqualFold(name, []byte(lower))
}

// EventStream is the media type of Server-Sent Events.
const EventStream = "text/event-stream"

// intern spares a string per stream for the usual type.
func intern(b []byte) string {
	if string(b) == EventStream {
		return EventStream
	}
	return string(b)
}

// HasBody reports whether a response with this head carries one, to a request
// other than HEAD.
func (h Head) HasBody() bool {
	return h.Status >= 200 && h.Status != 204 && h.Status != 304 && h.Length != 0
}
