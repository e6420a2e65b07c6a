package client

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// acceptEncoding is what a response may be compressed with.
const acceptEncoding = "zstd, gzip"

// maxWindow is the largest window of zstd, as RFC 9659 bounds it for HTTP.
const maxWindow = 8 << 20

// decoded returns body without the response's Content-Encoding.
func decoded(resp *http.Response, body io.ReadCloser) (io.ReadCloser, error) {
	coding := strings.Join(resp.Header.Values("Content-Encoding"), ",")
	var open func(io.Reader) (io.ReadCloser, error)
	switch strings.ToLower(strings.TrimSpace(coding)) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		open = func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }
	case "zstd":
		open = openZstd
	default:
		return nil, fmt.Errorf("%w: %.100q", ErrContentEncoding, coding)
	}
	return &lazyReader{body: body, open: open}, nil
}

// openZstd decodes in the reading goroutine, block by block, so that what the
// server has flushed is there at once.
func openZstd(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

// lazyReader begins to decode when it is read: a stream's headers come long
// before its first byte.
type lazyReader struct {
	body io.ReadCloser
	open func(io.Reader) (io.ReadCloser, error)
	r    io.ReadCloser // nil before the first Read
	err  error         // of open
}

func (l *lazyReader) Read(p []byte) (int, error) {
	if l.r == nil && l.err == nil {
		l.r, l.err = l.open(l.body)
		if errors.Is(l.err, io.EOF) {
			l.err = io.EOF // an empty body is an empty stream
		}
	}
	if l.err != nil {
		return 0, l.err
	}
	return l.r.Read(p)
}

// Close closes the body, which ends a Read that runs. What decodes holds no more
// than memory.
func (l *lazyReader) Close() error { return l.body.Close() }
