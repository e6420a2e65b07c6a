package portable

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync"
	"time"

	sse "github.com/spatehub/spate/client"
	"github.com/spatehub/spate/loadtest/internal/adapter"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/fleet"
	"github.com/spatehub/spate/loadtest/internal/session"
	"github.com/spatehub/spate/wire"
)

// TLS returns what the flags say about TLS.
func TLS(c *config.Config) (*tls.Config, error) {
	conf := &tls.Config{InsecureSkipVerify: c.Insecure}
	if c.CACert == "" {
		return conf, nil
	}
	conf.RootCAs = x509.NewCertPool()
	if !conf.RootCAs.AppendCertsFromPEM([]byte(c.CACert)) {
		return nil, errors.New("-cacert: the file has no certificate in PEM form")
	}
	return conf, nil
}

// streamKey is the context key of a stream's number in the whole run.
type streamKey struct{}

// newRoundTripper makes a transport for all streams, or for -streams-per-connection
// of them. Over HTTP/1.1 each has a connection of its own. Over HTTP/2 the streams
// of a transport share one, or as many as the server allows share each.
func newRoundTripper(p *fleet.Part, addrs *fleet.Addresses) (*http.Transport, error) {
	conf, err := TLS(p.Config)
	if err != nil {
		return nil, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!p.Config.HTTP2)
	protocols.SetHTTP2(p.Config.HTTP2)
	protocols.SetUnencryptedHTTP2(p.Config.HTTP2)
	most := 0
	if p.Config.PerConn > 0 {
		most = 1
	}
	return &http.Transport{
		MaxConnsPerHost:     most,
		TLSClientConfig:     conf,
		Protocols:           protocols,
		DisableCompression:  true,
		DisableKeepAlives:   !p.Config.HTTP2, // a connection that ended a stream is not used again
		TLSHandshakeTimeout: p.Config.ConnectTimeout,
		ReadBufferSize:      4 << 10,
		WriteBufferSize:     1 << 10,
		DialContext: func(ctx context.Context, network, hostport string) (net.Conn, error) {
			n, _ := ctx.Value(streamKey{}).(int)
			d := net.Dialer{Timeout: p.Config.ConnectTimeout, KeepAlive: -1}
			if src := addrs.Source(n); src.IsValid() {
				d.LocalAddr = &net.TCPAddr{IP: src.AsSlice()}
			}
			return d.DialContext(ctx, network, addrs.Spread(n, hostport))
		},
	}, nil
}

// connect runs one connection of a stream to its end and says why it ended.
func (t *Transport) connect(ctx context.Context, s *stream) (kind string) {
	n := t.part.From + s.index
	sub, err := t.part.Adapter.Subscribe(n)
	if err != nil {
		return fleet.Kind("connect", err)
	}
	hc := t.client(s.index)
	free := func() {}
	if t.part.Config.HTTP2 {
		hc.dial.Lock()
		free = sync.OnceFunc(hc.dial.Unlock)
		defer free()
	}
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, streamKey{}, n))
	defer cancel(nil)
	c := &connection{t: t, s: s, sh: t.shard(s.index), inner: hc.Transport}
	late := time.AfterFunc(t.part.Config.ConnectTimeout, func() { cancel(os.ErrDeadlineExceeded) })
	defer late.Stop()

	reader := c.newReader(sub, &http.Client{Transport: c, CheckRedirect: hc.CheckRedirect})
	reader.OnOpen(func(header http.Header) {
		late.Stop()
		free()
		if c.encoding = header.Get("Content-Encoding"); c.encoding != "" && c.encoding != "identity" {
			cancel(sse.ErrContentEncoding) // it has not been asked for
			return
		}
		c.open = true
		c.locked(func(r *session.Reader) { r.Joined(&s.sess, t.part.Env.Clock.Now()) })
	})
	for e, why := range reader.RawEvents(httptrace.WithClientTrace(ctx, c.trace(free))) {
		if err = why; err != nil {
			break
		}
		c.locked(func(r *session.Reader) { err = r.Event(&s.sess, e, c.now) })
		if err != nil {
			break
		}
	}
	c.locked(func(r *session.Reader) { r.Position(&s.sess, []byte(reader.LastEventID())) })
	return c.kind(err)
}

// newReader makes the client that reads the stream, of one connection: when the next
// one begins is the tester's to say.
func (c *connection) newReader(sub adapter.Subscribe, hc *http.Client) *sse.SSEClient {
	env := c.t.part.Env
	var lastID string
	c.locked(func(r *session.Reader) {
		r.Begin(&c.s.sess, env.Clock.Now())
		lastID = string(c.s.sess.LastID)
	})
	opts := []sse.Option{
		sse.WithHTTPClient(hc), sse.WithMethod(sub.Method), sse.WithLastEventID(lastID), sse.WithMaxEventSize(env.MaxEvent),
		sse.WithCompression(false), sse.WithIdleTimeout(-1), sse.WithoutReconnect(),
		sse.WithHeaderFunc(func(_ context.Context, header http.Header) error {
			header.Set("User-Agent", "spate-loadtest")
			for _, h := range sub.Header {
				header.Set(h.Name, h.Value)
			}
			return nil
		}),
	}
	if sub.Body != nil {
		opts = append(opts, sse.WithBody("", sub.Body))
	}
	reader := sse.NewClient(sub.URL.String(), opts...)
	// Comments are counted, and a hub's last word is an event like any other.
	reader.OnComment(func(string) { c.locked(func(r *session.Reader) { r.Stats.Comments++ }) })
	reader.OnEvent(sse.DisconnectEvent, func(*wire.Event) {})
	return reader
}
