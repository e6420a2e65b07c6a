package portable

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	sse "github.com/spatehub/spate/client"
	"github.com/spatehub/spate/loadtest/internal/fleet"
	"github.com/spatehub/spate/loadtest/internal/session"
	"github.com/spatehub/spate/wire"
)

// connection is one connection of a stream. As a RoundTripper it sees what arrives,
// before the client that reads it.
type connection struct {
	t     *Transport
	s     *stream
	sh    *shard
	inner http.RoundTripper

	// The reading goroutine's.
	open     bool   // the server has accepted the stream
	encoding string // of the response, where it was not asked for
	now      int64  // when the latest bytes came

	sent, first atomic.Bool // each is counted once, also if net/http tries again
}

func (c *connection) locked(fn func(r *session.Reader)) {
	c.sh.mu.Lock()
	defer c.sh.mu.Unlock()
	fn(c.sh.reader)
}

// trace tells the session when its request is sent and answered. free is called when
// there is a connection.
func (c *connection) trace(free func()) *httptrace.ClientTrace {
	env, s := c.t.part.Env, c.s
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			free()
			if now := env.Clock.Now(); c.sent.CompareAndSwap(false, true) {
				c.locked(func(r *session.Reader) {
					dialled := s.sess.Began()
					if info.Reused {
						dialled = 0
					}
					r.Connected(&s.sess, dialled, now)
				})
			}
		},
		GotFirstResponseByte: func() {
			if now := env.Clock.Now(); c.first.CompareAndSwap(false, true) {
				c.locked(func(r *session.Reader) { r.FirstByte(&s.sess, now) })
			}
		},
	}
}

// RoundTrip implements http.RoundTripper.
func (c *connection) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.inner.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	c.encoding = resp.Header.Get("Content-Encoding")
	b := &body{ReadCloser: resp.Body, c: c, done: req.Context().Done()}
	switch c.s.sess.Role { // never changes, so it needs no lock
	case session.Stalled:
		b.most = -1
	case session.Slow:
		b.most = max(1, int(int64(c.t.part.SlowRate(c.s.index))*int64(slowTick)/int64(time.Second)))
		b.pause = time.NewTicker(slowTick)
	}
	resp.Body = b
	return resp, nil
}

// slowTick is how often a slow stream reads.
const slowTick = 50 * time.Millisecond

// body is the body of a response: what is read is counted, as fast as the stream's
// role allows.
type body struct {
	io.ReadCloser
	c     *connection
	most  int          // bytes at a tick of pause; 0: any, < 0: none at all
	pause *time.Ticker // nil: none
	done  <-chan struct{}
}

func (b *body) Read(p []byte) (n int, err error) {
	switch {
	case b.most < 0:
		<-b.done
		return 0, io.EOF
	case b.most > 0:
		select {
		case <-b.pause.C:
			p = p[:min(b.most, len(p))]
		case <-b.done:
			return 0, io.EOF
		}
	}
	n, err = b.ReadCloser.Read(p)
	if n > 0 && b.c.open {
		b.c.now = b.c.t.part.Env.Clock.Now()
		b.c.locked(func(r *session.Reader) { r.Stats.Bytes += int64(n) })
	}
	return n, err
}

func (b *body) Close() error {
	if b.pause != nil {
		b.pause.Stop()
	}
	return b.ReadCloser.Close()
}

// kind sorts the error with which the client's loop has ended.
func (c *connection) kind(err error) string {
	var status *sse.StatusError
	var other *sse.ContentTypeError
	var told *sse.EndError
	switch {
	case errors.As(err, &status):
		return fleet.StatusKind(status.Code)
	case errors.As(err, &other):
		media, _, _ := mime.ParseMediaType(other.ContentType)
		return fleet.TypeKind(media)
	case errors.Is(err, sse.ErrContentEncoding):
		return "content-encoding " + c.encoding
	case errors.Is(err, wire.ErrEventTooLarge):
		return fleet.KindTooLarge
	case errors.Is(err, sse.ErrCut), errors.As(err, &told):
		return fleet.KindClosed // in the middle of an event, or with a word about it
	case c.open:
		return fleet.Kind("read", err)
	case c.sent.Load():
		return fleet.Kind("response head", err)
	}
	return fleet.Kind("connect", err)
}
