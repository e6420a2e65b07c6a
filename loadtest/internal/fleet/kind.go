package fleet

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/spatehub/spate/loadtest/http1"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// Kinds of ends that are not errors of the system.
const (
	KindClosed   = session.KindClosed      // at the end of the response
	KindCut      = "cut off by the server" // the connection ended before the response
	KindTooLarge = "event larger than -max-event"
)

// StatusKind is the kind of an answer other than 200.
func StatusKind(status int) string { return "status " + strconv.Itoa(status) }

// TypeKind is the kind of an answer that is no event stream.
func TypeKind(contentType string) string {
	if contentType == "" {
		contentType = "missing"
	}
	return "content-type " + contentType
}

// Kind sorts an error of the system into few kinds, so that they can be counted.
func Kind(doing string, err error) string {
	var dns *net.DNSError
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return KindClosed
	case errors.Is(err, io.ErrUnexpectedEOF):
		return KindCut
	case errors.Is(err, session.ErrDone):
		return session.KindDone
	case errors.As(err, &dns):
		return doing + ": name not resolved"
	case errors.Is(err, http1.ErrMalformed):
		return "not HTTP/1.1"
	case errors.Is(err, syscall.ECONNREFUSED):
		return doing + ": refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return doing + ": reset by the server"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return doing + ": no free local port (spread with -source)"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return doing + ": too many open files"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return doing + ": timed out"
	}
	var no syscall.Errno
	if errors.As(err, &no) {
		return doing + ": " + no.Error()
	}
	text := err.Error()
	if i := strings.Index(text, "stream ID "); i >= 0 {
		return doing + ": " + streamKind(text[i:])
	}
	if i := strings.LastIndex(text, ": "); i >= 0 && len(text)-i > 8 {
		text = text[i+2:]
	}
	return doing + ": " + text[:min(len(text), 60)]
}

// streamKind sorts errors of a stream within an HTTP/2 connection, which net/http
// exports as texts alone: "stream ID 7; CANCEL; received from peer".
func streamKind(text string) string {
	_, text, _ = strings.Cut(text, "; ")
	if code, peer := strings.CutSuffix(text, "; received from peer"); peer {
		return "reset by the server (" + code + ")"
	}
	return text[:min(len(text), 60)]
}
