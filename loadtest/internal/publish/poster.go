package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spatehub/spate/loadtest/http1"
	"github.com/spatehub/spate/loadtest/internal/adapter"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/portable"
)

// poster sends requests, one after the other, over one connection to each server.
type poster interface {
	post(server int, url string, body []byte) answer
	close()
}

// answer is what became of a request.
type answer struct {
	status int
	text   string // beginning of the body of an answer that is no success
	err    error  // no answer
}

func (a answer) ok() bool { return a.err == nil && a.status >= 200 && a.status < 300 }

// final reports whether asking again is pointless.
func (a answer) final() bool {
	if a.err != nil {
		return errors.Is(a.err, syscall.ECONNREFUSED)
	}
	return a.status >= 300 && a.status < 500 && a.status != 429 && a.status != 408
}

// kind sorts failures; where is what follows "push", of several servers.
func (a answer) kind(where string) string {
	return "push" + where + ": " + a.what()
}

func (a answer) what() string {
	switch {
	case a.err == nil:
		return "status " + strconv.Itoa(a.status)
	case errors.Is(a.err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(a.err, os.ErrDeadlineExceeded):
		return "timed out"
	case errors.Is(a.err, syscall.ECONNRESET), errors.Is(a.err, syscall.EPIPE), errors.Is(a.err, errNoAnswer):
		return "connection closed"
	case errors.Is(a.err, http1.ErrMalformed):
		return "not HTTP/1.1"
	}
	return "failed"
}

func newPoster(c *config.Config, a *adapter.Adapter) (poster, error) {
	u, err := url.Parse(strings.NewReplacer("{{", "", "}}", "").Replace(a.PushURL()))
	if err != nil {
		return nil, fmt.Errorf("-push-url: %w", err)
	}
	servers := c.PushServers()
	if len(servers) == 0 {
		servers = []string{""} // where the URL says
	}
	if u.Scheme == "http" {
		p := &leanPoster{adapter: a, timeout: c.ConnectTimeout}
		for _, addr := range servers {
			p.conns = append(p.conns, leanConn{addr: addr})
		}
		return p, nil
	}
	conf, err := portable.TLS(c)
	if err != nil {
		return nil, err
	}
	p := &fullPoster{adapter: a}
	for _, addr := range servers {
		rt := &http.Transport{TLSClientConfig: conf.Clone(), ForceAttemptHTTP2: true, MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1}
		if addr != "" {
			var d net.Dialer
			rt.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return d.DialContext(ctx, network, withPort(addr, "443"))
			}
		}
		p.clients = append(p.clients, &http.Client{Transport: rt, Timeout: c.ConnectTimeout})
	}
	return p, nil
}

// withPort is addr, host or host:port, with a port.
func withPort(addr, port string) string {
	if _, _, err := net.SplitHostPort(addr); err == nil {
		return addr
	}
	return net.JoinHostPort(strings.Trim(addr, "[]"), port)
}

// fullPoster speaks TLS and HTTP/2 by net/http.
type fullPoster struct {
	adapter *adapter.Adapter
	clients []*http.Client // one for each server
}

func (p *fullPoster) post(server int, url string, body []byte) answer {
	req, err := http.NewRequest(p.adapter.PushMethod(), url, bytes.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	for _, h := range p.adapter.PushHeader() {
		req.Header.Set(h.Name, h.Value)
	}
	resp, err := p.clients[server].Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return answer{status: resp.StatusCode, text: clip(text), err: err}
}

func (p *fullPoster) close() {
	for _, c := range p.clients {
		c.CloseIdleConnections()
	}
}

// leanPoster speaks plain HTTP/1.1 with a tenth of net/http's processor time,
// which the server under test shares this machine with.
type leanPoster struct {
	adapter *adapter.Adapter
	timeout time.Duration
	conns   []leanConn // one to each server
	to      *leanConn  // the one in use
	out, in []byte
}

// leanConn is the connection to one server.
type leanConn struct {
	addr string    // where to connect, host or host:port; "": where the URL says
	conn net.Conn  // nil: none
	host string    // that conn's requests name
	used time.Time // when conn was used last
}

// maxIdle is how long a connection is kept unused. Servers close idle ones, and
// a request written just then would be lost.
const maxIdle = 2 * time.Second

func (p *leanPoster) post(server int, rawURL string, body []byte) answer {
	rest := strings.TrimPrefix(rawURL, "http://")
	slash := strings.IndexAny(rest, "/?")
	if slash < 0 {
		slash = len(rest)
	}
	host, target := rest[:slash], rest[slash:]
	if !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	p.to = &p.conns[server]
	if err := p.to.dial(host, p.timeout); err != nil {
		return answer{err: err}
	}
	b := append(p.out[:0], p.adapter.PushMethod()...)
	b = append(b, ' ')
	b = append(b, target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	b = append(b, "\r\nUser-Agent: spate-loadtest\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\n"...)
	for _, h := range p.adapter.PushHeader() {
		b = append(b, h.Name...)
		b = append(b, ": "...)
		b = append(b, h.Value...)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	p.out = append(b, body...)
	_ = p.to.conn.SetDeadline(time.Now().Add(p.timeout)) // cannot fail on an open connection
	_, err := p.to.conn.Write(p.out)
	if err != nil {
		p.to.close()
		return answer{err: err}
	}
	a, keep := p.read()
	if !keep {
		p.to.close()
	}
	p.to.used = time.Now()
	return a
}

// dial connects, unless it is connected, for requests to host.
func (c *leanConn) dial(host string, timeout time.Duration) error {
	if c.conn != nil && c.host == host && time.Since(c.used) < maxIdle {
		return nil
	}
	c.close()
	addr := c.addr
	if addr == "" {
		addr = host
	}
	conn, err := net.DialTimeout("tcp", withPort(addr, "80"), timeout)
	if err != nil {
		return err
	}
	c.conn, c.host, c.used = conn, host, time.Now()
	return nil
}

// read takes one response. keep reports whether the connection can be used again.
func (p *leanPoster) read() (a answer, keep bool) {
	if p.in == nil {
		p.in = make([]byte, 4<<10, 32<<10)
	}
	buf, n := p.in[:cap(p.in)], 0
	for {
		h, size, err := http1.ParseHead(buf[:n])
		switch {
		case err != nil:
			return answer{err: err}, false
		case size > 0 && h.Status == http.StatusContinue:
			n = copy(buf, buf[size:n])
			continue
		case size > 0:
			return p.readBody(h, buf, buf[size:n])
		}
		k, err := p.to.conn.Read(buf[n:])
		n += k
		if k == 0 {
			if errors.Is(err, io.EOF) {
				err = errNoAnswer
			}
			return answer{err: err}, false
		}
	}
}

// readBody takes the rest of a response; part is what came with the head.
func (p *leanPoster) readBody(h http1.Head, buf, part []byte) (a answer, keep bool) {
	a.status = h.Status
	if !h.HasBody() {
		return a, h.KeepAlive
	}
	var text []byte
	var chunks http1.Chunked
	left := h.Length
	for {
		for h.Chunked && len(part) > 0 {
			data, rest, err := chunks.Next(part)
			if err != nil {
				return answer{err: err}, false
			}
			if len(data) == 0 {
				break
			}
			text = append(text, data[:min(len(data), max(0, clipText-len(text)))]...)
			part = rest
		}
		if !h.Chunked {
			text = append(text, part[:min(len(part), max(0, clipText-len(text)))]...)
			left -= int64(len(part))
		}
		if h.Chunked && chunks.Ended() || !h.Chunked && h.Length >= 0 && left <= 0 {
			break
		}
		n, err := p.to.conn.Read(buf)
		if n == 0 {
			if h.Length < 0 && !h.Chunked && errors.Is(err, io.EOF) {
				h.KeepAlive = false
				break
			}
			return answer{err: err}, false
		}
		part = buf[:n]
	}
	if !a.ok() {
		a.text = clip(text)
	}
	return a, h.KeepAlive
}

func (p *leanPoster) close() {
	for i := range p.conns {
		p.conns[i].close()
	}
}

func (c *leanConn) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// clipText is how much of an error's text is kept, in bytes.
const clipText = 200

func clip(b []byte) string {
	return strings.TrimSpace(string(b[:min(len(b), clipText)]))
}
