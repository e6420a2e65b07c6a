// Package publish sends a run's events when they are due: an open model. Each
// connection (lane) sends one request after the other, so that the order of its
// events is known; what a slow server holds up is sent late but keeps its due
// time, so the delay shows in the receivers' figures.
package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/spatehub/spate/loadtest/internal/adapter"
	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/clock"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/hist"
	"github.com/spatehub/spate/loadtest/internal/pacer"
	"github.com/spatehub/spate/loadtest/stamp"
)

// Stats is what a publisher has counted.
type Stats struct {
	Events   int64            // accepted by the server
	Requests int64            // answered or failed
	Failed   int64            // events of failed requests: nobody is owed them
	Bytes    int64            // of the events' data, accepted
	Errors   map[string]int64 // failed requests by kind
	Push     hist.Hist        // a request until its answer
	Behind   hist.Hist        // due time until the request is sent
	Wake     hist.Hist        // lateness of the publisher's own alarm: the tester's fault alone
}

// Merge adds o to s.
func (s *Stats) Merge(o *Stats) {
	s.Events += o.Events
	s.Requests += o.Requests
	s.Failed += o.Failed
	s.Bytes += o.Bytes
	if len(o.Errors) > 0 && s.Errors == nil {
		s.Errors = map[string]int64{}
	}
	for k, n := range o.Errors {
		s.Errors[k] += n
	}
	s.Push.Merge(&o.Push)
	s.Behind.Merge(&o.Behind)
	s.Wake.Merge(&o.Wake)
}

// Publisher publishes one run.
type Publisher struct {
	cfg      *config.Config
	adapter  *adapter.Adapter
	ledger   *check.Ledger
	clock    clock.Clock
	run      uint32
	schedule *pacer.Schedule
	size     config.Size

	mu struct {
		sync.Mutex
		stats    Stats // since the last Collect
		voids    check.Voids
		accepted bool         // at least one request was
		refused  map[int]bool // servers whose answer was that they will never accept one
		fatal    error        // such an answer, once all servers have given one
	}
}

// New prepares a publisher.
func New(c *config.Config, a *adapter.Adapter, l *check.Ledger, clk clock.Clock, run uint32) (*Publisher, error) {
	p, err := c.Pacer()
	if err != nil {
		return nil, err
	}
	size, err := config.ParseSize(c.Size)
	if err != nil {
		return nil, err
	}
	pub := &Publisher{cfg: c, adapter: a, ledger: l, clock: clk, run: run, size: size}
	pub.schedule = pacer.NewSchedule(p, c.Duration, c.Events)
	pub.mu.voids, pub.mu.refused = check.Voids{}, map[int]bool{}
	return pub, nil
}

// Run publishes from begin (nanoseconds since the Unix epoch) on, and returns
// when the schedule is over or ctx ends, and every request has its answer. Its
// error says that the server accepts nothing at all.
func (p *Publisher) Run(ctx context.Context, begin int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i := range p.cfg.Connections {
		l, err := p.newLane(i, begin)
		if err != nil {
			cancel(err)
			wg.Wait()
			return err
		}
		wg.Go(func() {
			defer l.close()
			l.run(ctx, cancel)
		})
	}
	wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.fatal != nil && !p.mu.accepted {
		return p.mu.fatal
	}
	return nil
}

// Collect returns what was counted since the last Collect.
func (p *Publisher) Collect() *Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &Stats{}
	s.Merge(&p.mu.stats)
	p.mu.stats.Push.Reset()
	p.mu.stats.Behind.Reset()
	p.mu.stats.Wake.Reset()
	p.mu.stats = Stats{Push: p.mu.stats.Push, Behind: p.mu.stats.Behind, Wake: p.mu.stats.Wake}
	return s
}

// Voids returns the numbers of all failed events so far.
func (p *Publisher) Voids() check.Voids {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.mu.voids)
}

// lane is one publishing connection. It is its own goroutine's.
type lane struct {
	p       *Publisher
	index   int
	begin   int64
	rand    *rand.Rand
	alarm   *clock.Alarm
	post    poster
	targets targets
	req     adapter.Push
	server  int // that takes the next request: each lane goes round them, from another one on
	events  []adapter.Event
	due     []int64  // of events, nanoseconds since the Unix epoch
	seqs    []uint64 // of events
	pending bool     // next holds an event that did not fit into the last request
	next    adapter.Event
	nextDue int64
	pool    [][]byte // memory of the events' data
}

func (p *Publisher) newLane(i int, begin int64) (*lane, error) {
	a, err := p.clock.NewAlarm()
	if err != nil {
		return nil, err
	}
	post, err := newPoster(p.cfg, p.adapter)
	if err != nil {
		_ = a.Close()
		return nil, err
	}
	r := rand.New(rand.NewPCG(p.cfg.Seed, uint64(i)))
	return &lane{p: p, index: i, begin: begin, rand: r, alarm: a, post: post, targets: newTargets(p, r), server: i % p.servers()}, nil
}

func (l *lane) close() {
	l.post.close()
	_ = l.alarm.Close()
}

// run sends request after request.
func (l *lane) run(ctx context.Context, cancel context.CancelCauseFunc) {
	for l.gather(ctx) {
		l.stamp()
		if err := l.p.adapter.Push(&l.req, l.events); err != nil {
			cancel(err)
			l.p.mu.Lock()
			l.p.mu.fatal = err
			l.p.mu.Unlock()
			return
		}
		sent := l.p.clock.Now()
		answer := l.post.post(l.server, l.req.URL, l.req.Body)
		if fatal := l.account(answer, sent, l.p.clock.Now()); fatal != nil {
			cancel(fatal)
			return
		}
		l.server = (l.server + 1) % l.p.servers()
	}
}

// gather waits until an event is due and takes it, and with it whatever else is
// due and fits into the same request. It reports false when nothing more is to
// be sent.
func (l *lane) gather(ctx context.Context) bool {
	l.events, l.due = l.events[:0], l.due[:0]
	if !l.pending {
		at, ok := l.p.schedule.Next(l.elapsed())
		if !ok {
			return false
		}
		l.draw(at)
	}
	if wait := l.nextDue - l.p.clock.Now(); wait > 0 {
		if l.alarm.Until(ctx, l.nextDue) != nil {
			return false // numbered nowhere yet, so nobody misses it
		}
		late := l.p.clock.Now() - l.nextDue
		l.p.mu.Lock()
		l.p.mu.stats.Wake.Record(late)
		l.p.mu.Unlock()
	} else if ctx.Err() != nil {
		return false
	}
	l.keep()
	for len(l.events) < l.p.cfg.Batch {
		at, ok := l.p.schedule.NextDue(l.elapsed())
		if !ok {
			break
		}
		l.draw(at)
		if !l.p.adapter.Joinable(l.events[0], l.next) {
			break
		}
		l.keep()
	}
	return true
}

func (l *lane) elapsed() time.Duration { return time.Duration(l.p.clock.Now() - l.begin) }

// draw chooses the addressee of the event due at at.
func (l *lane) draw(at time.Duration) {
	l.next = adapter.Event{Type: l.p.cfg.EventType}
	l.next.Kind, l.next.Index = l.targets.draw()
	l.nextDue = l.begin + int64(at)
	l.pending = true
}

// keep puts the drawn event into the request.
func (l *lane) keep() {
	l.events = append(l.events, l.next)
	l.due = append(l.due, l.nextDue)
	l.pending = false
}

// stamp numbers the request's events and writes their data.
func (l *lane) stamp() {
	l.seqs = l.seqs[:0]
	for i := range l.events {
		e := &l.events[i]
		seq := l.p.ledger.Issue(l.index, e.Kind, e.Index)
		l.seqs = append(l.seqs, seq)
		if i == len(l.pool) {
			l.pool = append(l.pool, nil)
		}
		l.pool[i] = stamp.Append(l.pool[i][:0], stamp.Stamp{
			Run: l.p.run, Lane: uint32(l.index), Kind: e.Kind, Index: e.Index,
			Seq: seq, Sent: l.due[i], Size: uint32(l.p.size.Draw(l.rand)),
		})
		e.Data = l.pool[i]
	}
}

// account counts one request. It returns an error if this and all requests
// before it were refused in a way that will not change.
func (l *lane) account(a answer, sent, now int64) error {
	p := l.p
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.mu.stats
	s.Requests++
	s.Push.Record(now - sent)
	for _, due := range l.due {
		s.Behind.Record(sent - due)
	}
	if a.ok() {
		p.mu.accepted = true
		s.Events += int64(len(l.events))
		for _, e := range l.events {
			s.Bytes += int64(len(e.Data))
		}
		return nil
	}
	s.Failed += int64(len(l.events))
	if s.Errors == nil {
		s.Errors = map[string]int64{}
	}
	s.Errors[a.kind(p.where(l.server))]++
	for i, e := range l.events {
		p.mu.voids.Add(p.ledger.Space, l.index, e.Kind, e.Index, l.seqs[i])
	}
	if p.mu.accepted || !a.final() {
		return nil
	}
	if p.mu.refused[l.server] = true; len(p.mu.refused) < p.servers() {
		return nil
	}
	if p.mu.fatal == nil {
		p.mu.fatal = &RefusedError{URL: l.req.URL, Method: p.adapter.PushMethod(), Status: a.status, Text: a.text, Err: a.err}
	}
	return p.mu.fatal
}

// servers is how many servers take pushes in turn.
func (p *Publisher) servers() int { return max(1, len(p.cfg.PushServers())) }

// where is what the errors of pushes are told apart by: the address where several
// servers take them, otherwise nothing.
func (p *Publisher) where(server int) string {
	if list := p.cfg.PushServers(); len(list) > 0 {
		return " to " + list[server]
	}
	return ""
}

// RefusedError says that the server accepts no push at all.
type RefusedError struct {
	Method, URL string
	Status      int    // 0 if there was no answer
	Text        string // beginning of the answer's body
	Err         error  // what went wrong if there was no answer
}

// Unwrap returns Err.
func (e *RefusedError) Unwrap() error { return e.Err }

// Error says what to do.
func (e *RefusedError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("publish: %s %s: %v; does the server listen there? Set the address with -push-url", e.Method, e.URL, e.Err)
	}
	advice := "is -adapter right for this server?"
	switch e.Status {
	case 401, 403:
		advice = "give the key or token with -push-key, or a header with -push-header"
	case 404, 405:
		advice = "set the address of the push API with -push-url"
	}
	return fmt.Sprintf("publish: %s %s answered %d %q; %s", e.Method, e.URL, e.Status, e.Text, advice)
}

// errNoAnswer marks requests whose connection ended without an answer.
var errNoAnswer = errors.New("the server closed the connection without an answer")
