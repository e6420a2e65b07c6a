// Package portable reads event streams with package client, and so with net/http:
// with TLS, with HTTP/2, through proxies, on any system. It costs several goroutines and some 20 to
// 40 KB per stream; its figures mean the same as the raw reader's, because both
// feed the same sessions.
package portable

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/spatehub/spate/loadtest/internal/fleet"
	"github.com/spatehub/spate/loadtest/internal/session"
)

// shards is how many groups the streams are divided into, each with statistics
// of its own behind a lock.
const shards = 16

// shard is a group of streams. Its lock is taken for each piece of a body.
type shard struct {
	mu     sync.Mutex
	reader *session.Reader // guarded by mu, as are the sessions of its streams
}

// stream is one stream. Its goroutine lives from Open to Close.
type stream struct {
	sess  session.Session // guarded by the shard's mu
	index int
	mu    struct {
		sync.Mutex
		cancel context.CancelFunc // of the present connection; nil if there is none
		away   time.Duration      // set by Drop
		gone   bool               // set by Retire; its goroutine ends
		lives  bool               // its goroutine runs
		drop   bool               // set by Drop: the end that is coming is the tester's own
	}
}

// client has the connections of some streams.
type client struct {
	http.Client
	// dial is held, over HTTP/2, by a stream that asks for a connection until it has
	// one: without it net/http dials for each stream that comes before the first
	// connection is there.
	dial sync.Mutex
}

// Transport implements fleet.Transport.
type Transport struct {
	part     *fleet.Part
	again    *fleet.Again
	clients  []*client  // one for all streams, or one for each -streams-per-connection of them
	arrivals chan int64 // due times of requests for finite streams that wait for a free one
	shards   [shards]shard
	streams  []stream

	ctx    context.Context // of all streams
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// New returns a transport without open streams.
func New(p *fleet.Part, addrs *fleet.Addresses) (*Transport, error) {
	t := &Transport{part: p, again: fleet.NewAgain(p), streams: make([]stream, p.Len())}
	if p.Config.Arrivals != "" {
		t.arrivals = make(chan int64, fleet.MaxWaiting)
	}
	each := p.Config.PerConn
	if each == 0 {
		each = max(p.Len(), 1)
	}
	for range (p.Len() + each - 1) / each {
		rt, err := newRoundTripper(p, addrs)
		if err != nil {
			return nil, err
		}
		t.clients = append(t.clients, &client{Client: http.Client{
			Transport:     rt,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}})
	}
	for k := range t.shards {
		t.shards[k].reader = session.NewReader(p.Env)
	}
	p.Sessions(func(i int, s session.Session) {
		t.streams[i].index, t.streams[i].sess = i, s
	})
	t.ctx, t.cancel = context.WithCancel(context.Background())
	if t.arrivals != nil {
		t.Open(0, p.Len())
	}
	return t, nil
}

// client is the one that stream i shares with its neighbours.
func (t *Transport) client(i int) *client {
	if each := t.part.Config.PerConn; each > 0 {
		return t.clients[i/each]
	}
	return t.clients[0]
}

// Arrive implements fleet.Transport.
func (t *Transport) Arrive(due int64) {
	select {
	case t.arrivals <- due:
	default:
		t.unstarted()
	}
}

func (t *Transport) unstarted() {
	sh := &t.shards[0]
	sh.mu.Lock()
	sh.reader.Stats.Unstarted++
	sh.mu.Unlock()
}

// arrival waits until a request is due, or for ever if none is.
func (t *Transport) arrival(s *stream) bool {
	select {
	case due := <-t.arrivals:
		sh := t.shard(s.index)
		sh.mu.Lock()
		s.sess.Due = due
		sh.mu.Unlock()
		return true
	case <-t.ctx.Done():
		return false
	}
}

func (t *Transport) shard(i int) *shard { return &t.shards[i%shards] }

// Open implements fleet.Transport.
func (t *Transport) Open(lo, hi int) {
	for i := lo; i < hi; i++ {
		s := &t.streams[i]
		s.mu.Lock()
		s.mu.gone = false
		start := !s.mu.lives
		s.mu.lives = true
		s.mu.Unlock()
		if start {
			t.wg.Go(func() { t.live(s) })
		}
	}
}

// Retire implements fleet.Transport.
func (t *Transport) Retire(lo, hi int) {
	for i := lo; i < hi; i++ {
		s := &t.streams[i]
		s.mu.Lock()
		s.mu.gone = true
		if s.mu.cancel != nil {
			s.mu.drop = true
			s.mu.cancel()
		}
		s.mu.Unlock()
	}
}

// over reports whether the stream's goroutine is to end, and notes it.
func (t *Transport) over(s *stream) bool {
	s.mu.Lock()
	gone := s.mu.gone
	if gone {
		s.mu.lives = false
	}
	s.mu.Unlock()
	return gone
}

// live connects a stream again and again until Close.
func (t *Transport) live(s *stream) {
	sleep := time.NewTimer(0)
	<-sleep.C
	defer sleep.Stop()
	for t.ctx.Err() == nil {
		if t.over(s) {
			sh := t.shard(s.index)
			sh.mu.Lock()
			s.sess.Retire()
			sh.mu.Unlock()
			return
		}
		if t.arrivals != nil && !t.arrival(s) {
			return
		}
		if t.part.Env.Finite != nil && t.part.Env.Quiet.Load() {
			if t.arrivals == nil {
				return
			}
			t.unstarted()
			t.forget(s)
			continue
		}
		ctx, cancel := context.WithCancel(t.ctx)
		s.mu.Lock()
		s.mu.cancel, s.mu.drop = cancel, s.mu.gone
		if s.mu.gone {
			cancel()
		}
		s.mu.Unlock()
		kind := t.connect(ctx, s)
		cancel()

		s.mu.Lock()
		own, away := s.mu.drop, s.mu.away
		s.mu.cancel = nil
		s.mu.Unlock()
		own = own || t.ctx.Err() != nil
		sh := t.shard(s.index)
		sh.mu.Lock()
		sh.reader.Ended(&s.sess, own, kind, t.part.Env.Clock.Now())
		if !own && kind == fleet.KindAway {
			s.sess.SendAway()
		}
		sh.mu.Unlock()
		if s.retiring() {
			continue
		}
		wait := away*3/4 + time.Duration(rand.Int64N(int64(away)/2+1))
		if !own {
			var ok bool
			if wait, ok = t.again.After(kind); !ok && t.arrivals == nil {
				return
			}
		}
		sleep.Reset(wait)
		select {
		case <-sleep.C:
		case <-t.ctx.Done():
		}
	}
}

// retiring reports whether the stream is to be closed.
func (s *stream) retiring() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.gone
}

// forget takes back an arrival that is not served any more.
func (t *Transport) forget(s *stream) {
	sh := t.shard(s.index)
	sh.mu.Lock()
	s.sess.Due = 0
	sh.mu.Unlock()
}

// Drop implements fleet.Transport.
func (t *Transport) Drop(streams []int, away time.Duration) {
	for _, i := range streams {
		s, sh := &t.streams[i], t.shard(i)
		sh.mu.Lock()
		open := s.sess.Open()
		sh.mu.Unlock()
		if !open {
			continue
		}
		s.mu.Lock()
		if s.mu.cancel != nil {
			s.mu.drop, s.mu.away = true, away
			s.mu.cancel()
		}
		s.mu.Unlock()
	}
}

// Collect implements fleet.Transport.
func (t *Transport) Collect(into *session.Stats) {
	for k := range t.shards {
		sh := &t.shards[k]
		sh.mu.Lock()
		into.Merge(&sh.reader.Stats)
		sh.reader.Stats.Reset()
		sh.mu.Unlock()
	}
}

// CountsLag implements fleet.Transport: what streams wait for is the runtime, as timers do.
func (t *Transport) CountsLag() bool { return false }

// Each implements fleet.Transport.
func (t *Transport) Each(fn func(i int, s *session.Session)) {
	for k := range t.shards {
		sh := &t.shards[k]
		sh.mu.Lock()
		for i := k; i < len(t.streams); i += shards {
			fn(i, &t.streams[i].sess)
		}
		sh.mu.Unlock()
	}
}

// Close implements fleet.Transport.
func (t *Transport) Close() {
	t.cancel()
	t.wg.Wait()
	for _, c := range t.clients {
		c.CloseIdleConnections()
	}
}
