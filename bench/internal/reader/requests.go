//go:build linux

package reader

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/spatehub/spate/bench/internal/plan"
	"github.com/spatehub/spate/bench/internal/proc"
	"github.com/spatehub/spate/loadtest/stamp"
)

// begin starts to carry out a request; l.pending answers it.
func (l *loop) begin(r Request) error {
	switch {
	case r.Connect != nil:
		return l.beginConnect(*r.Connect)
	case r.Measure != nil:
		l.beginMeasure(*r.Measure)
	case r.Finish != nil:
		l.beginFinish(*r.Finish)
	case r.Drop != nil:
		for i := range l.conns {
			l.close(&l.conns[i])
		}
		l.conns, l.normal, l.open = nil, 0, 0
		l.pending = func(int64) (any, bool) { return struct{}{}, true }
	default:
		return errors.New("an empty request")
	}
	return nil
}

// bridgeProcs lets goroutines run beside the loop, which may wait in the kernel; they share its processor.
const bridgeProcs = 4

func (l *loop) beginConnect(r Connect) error {
	if len(l.conns) > 0 {
		return errors.New("streams are open: drop them first")
	}
	l.connect, l.plan = r, plan.New(r.Kind, r.Targets)
	if r.bridged() {
		runtime.GOMAXPROCS(bridgeProcs)
	}
	l.conns = make([]conn, r.Streams+r.Stalled+r.Churn)
	l.normal, l.dialled, l.opening, l.open = r.Streams, 0, 0, 0
	l.failed, l.opened = map[string]int{}, hist{}
	l.count, l.latency, l.toldAll = Counts{}, hist{}, 0
	l.cpu, l.measured = proc.CPU(), wall()
	for i := range l.conns {
		c := &l.conns[i]
		c.fd, c.passes = -1, i >= r.Streams+r.Stalled
		c.stalled = i >= r.Streams && !c.passes
		if r.Kind != stamp.Broadcast {
			c.check.index = uint32(i % r.Targets)
		}
		c.check.next = l.plan.Issued(c.check.index, r.Had) + 1
		if c.passes {
			c.check.next = unseen
		}
	}
	start := wall()
	l.pending = func(now int64) (any, bool) {
		for l.dialled < len(l.conns) && l.opening < r.InFlight {
			l.opening++
			l.dialled++
			l.dial(l.dialled - 1)
		}
		late := time.Duration(now-start) > r.Timeout
		if l.dialled < len(l.conns) && !late || l.opening > 0 && !late {
			return nil, false
		}
		if l.opening > 0 {
			l.failed["no response in time"] += l.opening
		}
		return Opened{Open: l.open, Failed: l.failed, Elapsed: time.Duration(now - start), Latency: l.opened.summary()}, true
	}
	return nil
}

func (l *loop) beginMeasure(r Measure) {
	l.run = r.Run
	l.count, l.latency, l.toldAll = Counts{}, hist{}, 0
	l.last = 0
	l.cpu, l.measured = proc.CPU(), wall()
	l.wire.Store(0)
	for i := range l.conns {
		c := &l.conns[i]
		if c.passes {
			continue // it goes on with what comes next
		}
		c.check.next, c.check.holes = l.plan.Issued(c.check.index, r.Had)+1, nil
	}
	l.progress.Store(r.Had)
	l.pending = func(int64) (any, bool) { return struct{}{}, true }
}

func (l *loop) beginFinish(r Finish) {
	seen, since := l.count.Deliveries, wall()
	var looked int64
	l.pending = func(now int64) (any, bool) {
		if l.count.Deliveries != seen {
			seen, since = l.count.Deliveries, now
		}
		quiet := now-since > int64(r.Quiet)
		if !quiet && now-looked < int64(5*time.Millisecond) {
			return nil, false
		}
		looked = now
		lost := l.missing(r.Total)
		if lost > 0 && !quiet {
			return nil, false
		}
		count := l.count
		count.Lost += lost
		if l.connect.bridged() {
			count.Bytes = uint64(l.wire.Load())
		}
		return Result{
			Counts: count, Latency: l.latency.summary(), Last: l.last,
			CPU: time.Duration(proc.CPU() - l.cpu), Elapsed: time.Duration(now - l.measured),
		}, true
	}
}

// missing is how many of the first total events the streams that read have not got.
func (l *loop) missing(total uint64) uint64 {
	var n uint64
	for i := range l.conns[:l.normal] {
		c := &l.conns[i]
		n += c.check.missing(l.plan.Issued(c.check.index, total))
	}
	return n
}

// String says what went wrong, "" if nothing did.
func (c *Counts) String() string {
	var s string
	for _, x := range []struct {
		n    uint64
		what string
	}{
		{c.Lost, "lost"}, {c.Duplicates, "doubled"}, {c.Disorder, "out of order"}, {c.Misaddressed, "misaddressed"},
		{c.Corrupt, "corrupt"}, {c.Foreign, "foreign"}, {c.Ended, "streams ended"},
	} {
		if x.n > 0 {
			s += fmt.Sprintf(", %d %s", x.n, x.what)
		}
	}
	if s == "" {
		return ""
	}
	return s[2:]
}

// Add adds o to c.
func (c *Counts) Add(o *Counts) {
	c.Deliveries += o.Deliveries
	c.Lost += o.Lost
	c.Duplicates += o.Duplicates
	c.Disorder += o.Disorder
	c.Misaddressed += o.Misaddressed
	c.Corrupt += o.Corrupt
	c.Foreign += o.Foreign
	c.Ended += o.Ended
	c.Bytes += o.Bytes
	c.Passed += o.Passed
	c.Reopened += o.Reopened
}
