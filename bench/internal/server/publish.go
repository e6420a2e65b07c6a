//go:build linux

package server

import (
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/bench/internal/plan"
	"github.com/spatehub/spate/bench/internal/proc"
	"github.com/spatehub/spate/loadtest/stamp"
)

// Run is one stretch of publishing.
type Run struct {
	ID       uint32        `json:"id"` // stamped on the events
	Kind     stamp.Kind    `json:"kind"`
	Targets  int           `json:"targets"`          // users or topics
	Size     int           `json:"size"`             // bytes of an event's data
	JSON     bool          `json:"json,omitempty"`   // it is an object with the stamp in a field, of about that size
	Rate     float64       `json:"rate,omitempty"`   // events a second; 0 = as fast as it goes
	Window   uint64        `json:"window,omitempty"` // most events that not every stream has had yet; 0 = no bound
	Duration time.Duration `json:"duration,omitempty"`
	Events   uint64        `json:"events,omitempty"` // 0 = by duration alone
}

// Report tells how a Run went.
type Report struct {
	First   uint64        `json:"first"` // events published before this run
	Total   uint64        `json:"total"` // events published after it
	Failed  uint64        `json:"failed"`
	Fault   string        `json:"fault,omitempty"` // the first failure
	Start   int64         `json:"start"`           // nanoseconds since the Unix epoch
	Elapsed time.Duration `json:"elapsed"`
	Late    time.Duration `json:"late"`  // worst lateness of an event against its schedule
	Stuck   bool          `json:"stuck"` // the server has not let its publisher go on; it is of no further use
}

// publisher sends the events of runs, on one goroutine.
type publisher struct {
	srv      Server
	progress *proc.Shared // events that every stream has had
	timer    *proc.Timer
	total    atomic.Uint64 // events published; the publishing goroutine stores it, whoever reports a stuck one loads it
	data     []byte
}

func newPublisher(srv Server, progress *proc.Shared) (*publisher, error) {
	timer, err := proc.NewTimer()
	if err != nil {
		return nil, err
	}
	return &publisher{srv: srv, progress: progress, timer: timer}, nil
}

// run is a Run under way.
type run struct {
	*publisher
	Run
	plan    *plan.Plan
	objects [][]byte  // what the events say, if they are JSON
	start   time.Time // the wall time of the stamps counts from here, by the monotonic clock
	rep     Report
}

// patience is how much longer than planned a run may take before its server counts as stuck.
const patience = 4 * time.Second

// publish carries out a run.
func (p *publisher) publish(r Run) (Report, error) {
	begun, first := time.Now(), p.total.Load()
	x := &run{publisher: p, Run: r, plan: plan.New(r.Kind, r.Targets), start: begun}
	x.rep.First, x.rep.Start = first, begun.UnixNano()
	if r.JSON {
		x.objects = plan.Quotes(r.Size - stampRoom)
	}
	done := make(chan error, 1)
	go func() { done <- x.all() }()
	watchdog := time.NewTimer(r.Duration + patience)
	defer watchdog.Stop()
	select {
	case err := <-done:
		x.rep.Total, x.rep.Elapsed = p.total.Load(), time.Since(begun)
		return x.rep, err
	case <-watchdog.C:
		return Report{First: first, Total: p.total.Load(), Start: begun.UnixNano(), Elapsed: time.Since(begun), Stuck: true}, nil
	}
}

// all publishes everything and has it sent.
func (x *run) all() error {
	var err error
	if x.Rate > 0 {
		err = x.paced()
	} else {
		err = x.flatOut()
	}
	if err != nil {
		return err
	}
	if d, ok := x.srv.(Drainer); ok && x.Window == 0 { // a window bounds what has been taken, by what has arrived
		d.Drain()
	}
	return x.flush()
}

// paced publishes each event when it is due. What is late is sent at once, with the stamp of when it was due: so a
// server that holds up its publisher can't hide that.
func (x *run) paced() error {
	every := time.Duration(float64(time.Second) / x.Rate)
	n := uint64(float64(x.Duration) / float64(every))
	if x.Events > 0 {
		n = min(n, x.Events)
	}
	if err := x.timer.Start(every); err != nil {
		return err
	}
	defer func() { _ = x.timer.Start(0) }()
	x.start = time.Now()
	x.rep.Start = x.start.UnixNano()
	for i := uint64(0); i < n; {
		ticks, err := x.timer.Wait()
		if err != nil {
			return err
		}
		for ; ticks > 0 && i < n; ticks-- {
			due := time.Duration(i+1) * every
			x.rep.Late = max(x.rep.Late, time.Since(x.start)-due)
			x.send(due)
			i++
		}
		if f, ok := x.srv.(Flusher); ok {
			f.Flush()
		}
	}
	return nil
}

// windowCheck is how often a publisher that must wait for the streams looks again.
const windowCheck = 300 * time.Microsecond

// flatOut publishes without a schedule, but never further ahead of the slowest stream than the window.
func (x *run) flatOut() error {
	if err := x.timer.Start(windowCheck); err != nil {
		return err
	}
	defer func() { _ = x.timer.Start(0) }()
	flusher, _ := x.srv.(Flusher)
	now := time.Duration(0)
	for n := uint64(0); now < x.Duration && (x.Events == 0 || n < x.Events); n++ {
		for x.Window > 0 && x.total.Load()-x.progress.Load() >= x.Window {
			if flusher != nil {
				flusher.Flush()
			}
			if _, err := x.timer.Wait(); err != nil {
				return err
			}
			if now = time.Since(x.start); now > x.Duration+patience/2 {
				return nil // a stream has lost events; the reader tells which
			}
		}
		if n%16 == 0 {
			now = time.Since(x.start)
		}
		x.send(now)
	}
	return nil
}

// send publishes one event that was due at an offset from the start.
func (x *run) send(due time.Duration) {
	n := x.total.Load()
	index, seq := x.plan.Event(n)
	x.total.Add(1)
	mark := stamp.Stamp{Run: x.ID, Kind: x.Kind, Index: index, Seq: seq, Sent: x.start.UnixNano() + int64(due), Size: uint32(x.Size)}
	if x.JSON {
		x.data = appendObject(x.data[:0], mark, x.objects[n%uint64(len(x.objects))])
	} else {
		x.data = stamp.Append(x.data[:0], mark)
	}
	if err := x.srv.Publish(x.Kind, index, x.data); err != nil {
		if x.rep.Failed++; x.rep.Failed == 1 {
			x.rep.Fault = err.Error()
		}
	}
}

// stampRoom is about what a stamp takes in an object, its name included.
const stampRoom = 80

// appendObject appends the JSON object with the stamp as a further field, in front of the others.
func appendObject(dst []byte, s stamp.Stamp, object []byte) []byte {
	s.Size = 0 // as long as it has to be
	dst = stamp.Append(append(dst, `{"stamp":"`...), s)
	return append(append(dst, `",`...), object[1:]...)
}

// flush gives a server without goroutines of its own the time to send what is left, until every stream that reads has
// it.
func (x *run) flush() error {
	f, ok := x.srv.(Flusher)
	if !ok {
		return nil
	}
	if err := x.timer.Start(windowCheck); err != nil {
		return err
	}
	for end := time.Now().Add(2 * time.Second); f.Flush() && x.progress.Load() < x.total.Load() && time.Now().Before(end); {
		if _, err := x.timer.Wait(); err != nil {
			return err
		}
	}
	return x.timer.Start(0)
}
