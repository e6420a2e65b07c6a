package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	"golang.org/x/net/http/httpguts"
)

// requestConfig says how requests are made.
type requestConfig struct {
	method      string // "": GET, or POST with a body
	body        func() (io.ReadCloser, error)
	bodyLen     int64       // -1: not known
	headers     http.Header // nil: none
	headerFunc  func(context.Context, http.Header) error
	compression bool
	http        *http.Client
	unixSocket  string
}

// WithMethod sets the method of the requests. The default is GET, or POST with a
// body.
func WithMethod(method string) Option {
	return func(c *config) {
		c.life = append(c.life, "WithMethod")
		if !httpguts.ValidHeaderFieldName(method) {
			c.fault("WithMethod", fmt.Sprintf("(%q): is no method", method))
		}
		c.request.method = method
	}
}

// WithBody gives each request, also each attempt to connect again, this body.
// contentType is its Content-Type, left out where it is "". body must not be
// changed any more.
func WithBody(contentType string, body []byte) Option {
	return func(c *config) {
		WithBodyFunc(contentType, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil })(c)
		c.request.bodyLen = int64(len(body))
	}
}

// WithBodyFunc gives each request the body that fn returns: it is called for each
// attempt and for each redirect that keeps the body, and its reader is closed. An
// error of fn is the attempt's. As its length is not known it is sent in chunks
// over HTTP/1.1, which some servers refuse.
func WithBodyFunc(contentType string, fn func() (io.ReadCloser, error)) Option {
	return func(c *config) {
		c.life = append(c.life, "WithBody")
		c.request.body, c.request.bodyLen = fn, -1
		if contentType != "" {
			c.setHeader("WithBody", "Content-Type", contentType)
		}
	}
}

// WithHeaders adds headers to each request, such as Authorization. They win over
// the client's own, except for Last-Event-ID. A redirect to another host does not
// take them along. The map is copied. For [Do] as well.
func WithHeaders(headers map[string]string) Option {
	return func(c *config) {
		for name, value := range headers {
			c.setHeader("WithHeaders", name, value)
		}
	}
}

func (c *config) setHeader(option, name, value string) {
	if !httpguts.ValidHeaderFieldName(name) {
		c.fault(option, fmt.Sprintf("%q: is no name of a header", name))
		return
	}
	if !httpguts.ValidHeaderFieldValue(value) {
		c.fault(option, fmt.Sprintf("%q: its value can't stand in a header", name)) // and may be a secret
		return
	}
	if c.request.headers == nil {
		c.request.headers = make(http.Header)
	}
	c.request.headers.Set(name, value)
}

// WithHeaderFunc lets fn change the headers of each request just before it is
// sent: for a token that has to be fresh at each attempt. They win over those of
// WithHeaders, and a redirect to another host does not take them along either. ctx
// ends with the attempt. An error of fn is the attempt's: it is told to OnError,
// and another try follows as after a lost connection; to end for good, call
// Disconnect. For [Do] as well.
func WithHeaderFunc(fn func(ctx context.Context, header http.Header) error) Option {
	return func(c *config) { c.request.headerFunc = fn }
}

// WithHTTPClient sets the client that makes the requests: its transport (proxies,
// TLS, HTTP/2), cookies and redirect policy. Its Timeout is not used, since it
// would cut every stream; [WithIdleTimeout] bounds silence instead. By default,
// also for nil, it is like [http.DefaultClient]. For [Do] as well.
func WithHTTPClient(hc *http.Client) Option {
	return func(c *config) {
		c.request.http = &http.Client{}
		if hc != nil {
			*c.request.http = *hc
		}
	}
}

// WithUnixSocket connects to the Unix socket at path, whatever the host of the
// URL, which is sent as Host. It needs a transport that is an [http.Transport],
// which is copied. For [Do] as well.
func WithUnixSocket(path string) Option {
	return func(c *config) {
		if path == "" {
			c.fault("WithUnixSocket", "names no socket")
		}
		c.request.unixSocket = path
	}
}

// WithCompression says whether the server may compress the stream, with gzip or
// zstd, which the client then undoes. The default is true. For [Do] as well.
func WithCompression(on bool) Option {
	return func(c *config) { c.request.compression = on }
}

// client is the http.Client to use: one that leaves redirects to us. closeIdle
// gives up the connections of a transport of our own.
func (r *requestConfig) client() (hc *http.Client, closeIdle func(), err error) {
	own := *r.http
	own.Timeout = 0
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if r.unixSocket == "" {
		return &own, func() {}, nil
	}
	base := own.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	transport, ok := base.(*http.Transport)
	if !ok {
		return nil, nil, fmt.Errorf("client: WithUnixSocket needs an *http.Transport, and WithHTTPClient has a %T", base)
	}
	transport = transport.Clone()
	transport.Proxy = nil
	path := r.unixSocket
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	own.Transport = transport
	return &own, transport.CloseIdleConnections, nil
}
