package portable

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/loadtest/http1"
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
	env, sh := t.part.Env, t.shard(s.index)
	n := t.part.From + s.index
	sub, err := t.part.Adapter.Subscribe(n)
	if err != nil {
		return fleet.Kind("connect", err)
	}
	var sent, first atomic.Bool // each report is counted once, also if net/http tries again
	locked := func(fn func(r *session.Reader)) {
		sh.mu.Lock()
		fn(sh.reader)
		sh.mu.Unlock()
	}
	hc := t.client(s.index)
	free := func() {}
	if t.part.Config.HTTP2 {
		hc.dial.Lock()
		free = sync.OnceFunc(hc.dial.Unlock)
		defer free()
	}
	trace := &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			free()
			if now := env.Clock.Now(); sent.CompareAndSwap(false, true) {
				locked(func(r *session.Reader) {
					dialled := s.sess.Began()
					if info.Reused {
						dialled = 0
					}
					r.Connected(&s.sess, dialled, now)
				})
			}
		},
		GotFirstResponseByte: func() {
			if now := env.Clock.Now(); first.CompareAndSwap(false, true) {
				locked(func(r *session.Reader) { r.FirstByte(&s.sess, now) })
			}
		},
	}
	ctx = httptrace.WithClientTrace(context.WithValue(ctx, streamKey{}, n), trace)
	var content io.Reader
	if sub.Body != nil {
		content = bytes.NewReader(sub.Body)
	}
	req, err := http.NewRequestWithContext(ctx, sub.Method, sub.URL.String(), content)
	if err != nil {
		return fleet.Kind("connect", err)
	}
	req.Header.Set("Accept", http1.EventStream)
	req.Header.Set("Cache-Control", "no-cache")
	req.Header.Set("User-Agent", "spate-loadtest")
	for _, h := range sub.Header {
		req.Header.Set(h.Name, h.Value)
	}
	locked(func(r *session.Reader) {
		r.Begin(&s.sess, env.Clock.Now())
		if len(s.sess.LastID) > 0 {
			req.Header.Set("Last-Event-ID", string(s.sess.LastID))
		}
	})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(t.part.Config.ConnectTimeout, cancel)
	resp, err := hc.Do(req.WithContext(ctx))
	free()
	if !late.Stop() && err != nil {
		err = os.ErrDeadlineExceeded
	}
	if err != nil {
		if sent.Load() {
			return fleet.Kind("response head", err)
		}
		return fleet.Kind("connect", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fleet.StatusKind(resp.StatusCode)
	}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media != http1.EventStream {
		return fleet.TypeKind(media)
	}
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return "content-encoding " + enc
	}
	locked(func(r *session.Reader) { r.Joined(&s.sess, env.Clock.Now()) })
	return t.read(ctx, s, sh, resp.Body)
}

// readBuffer is what a stream reads at once.
const readBuffer = 4 << 10

// slowTick is how often a slow stream reads.
const slowTick = 50 * time.Millisecond

// read feeds the body to the session until it ends.
func (t *Transport) read(ctx context.Context, s *stream, sh *shard, body io.Reader) (kind string) {
	buf := make([]byte, readBuffer)
	switch s.sess.Role { // never changes, so it needs no lock
	case session.Stalled:
		<-ctx.Done()
		return fleet.KindClosed
	case session.Slow:
		share := max(1, int(int64(t.part.SlowRate(s.index))*int64(slowTick)/int64(time.Second)))
		buf = buf[:min(share, len(buf))]
		pause := time.NewTicker(slowTick)
		defer pause.Stop()
		body = &slowReader{r: body, tick: pause.C, done: ctx.Done()}
	}
	for {
		n, err := body.Read(buf)
		if n > 0 {
			now := t.part.Env.Clock.Now()
			sh.mu.Lock()
			sh.reader.Stats.Bytes += int64(n)
			bad := sh.reader.Feed(&s.sess, buf[:n], now)
			sh.mu.Unlock()
			switch {
			case errors.Is(bad, wire.ErrEventTooLarge):
				return fleet.KindTooLarge
			case bad != nil:
				return fleet.Kind("read", bad)
			}
		}
		if err != nil {
			return fleet.Kind("read", err)
		}
	}
}

// slowReader reads once a tick.
type slowReader struct {
	r    io.Reader
	tick <-chan time.Time
	done <-chan struct{}
}

func (s *slowReader) Read(p []byte) (int, error) {
	select {
	case <-s.tick:
		return s.r.Read(p)
	case <-s.done:
		return 0, io.EOF
	}
}
