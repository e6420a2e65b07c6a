//go:build linux

package rig

import (
	"fmt"
	"strings"
	"time"

	"github.com/spatehub/spate/bench/internal/proc"
	"github.com/spatehub/spate/bench/internal/reader"
	"github.com/spatehub/spate/bench/internal/server"
)

// Work is what a server is asked to publish.
type Work struct {
	Rate     float64 // events a second; 0 = as fast as the streams follow
	Size     int     // bytes of an event's data
	JSON     bool    // it is a JSON object of about that size
	Window   uint64  // most events under way where there is no rate
	Duration time.Duration
	Events   uint64 // 0 = by duration
}

// Figures are the outcome of one run.
type Figures struct {
	reader.Counts
	Latency    reader.Latency
	Events     uint64        // published
	Elapsed    time.Duration // first publication until the last receipt
	ServerCPU  time.Duration // from before the first publication until all was quiet
	ReaderCPU  time.Duration // of the load, from before the first publication until everything had come
	ReaderBusy float64       // share of the time that the load's processor worked
	Late       time.Duration // worst lateness of the publisher against its schedule
	Usage      proc.Usage    // of the server, at the end
	Allocs     uint64        // objects that the server allocated
	Stuck      bool          // the server did not let its publisher go on; the rig is of no further use
	Refused    uint64        // events that the server did not take
	Fault      string
}

// PerDelivery is the server's processor time for one delivery, in microseconds.
func (f *Figures) PerDelivery() float64 { return perUnit(f.ServerCPU, f.Deliveries) }

// Rate is deliveries a second.
func (f *Figures) Rate() float64 {
	if f.Elapsed <= 0 {
		return 0
	}
	return float64(f.Deliveries) / f.Elapsed.Seconds()
}

// Faults says what went wrong, "" if nothing did.
func (f *Figures) Faults() string {
	s := f.Counts.String()
	if f.Stuck {
		s += "; publisher stuck"
	}
	if f.Refused > 0 {
		s += fmt.Sprintf("; %d events refused: %s", f.Refused, f.Fault)
	}
	return strings.TrimPrefix(s, "; ")
}

func perUnit(d time.Duration, n uint64) float64 {
	if n == 0 {
		return 0
	}
	return float64(d) / 1e3 / float64(n)
}

// quiet is how long nothing must come before what is missing counts as lost.
const quiet = 700 * time.Millisecond

// publish has the server publish, stamped with the number of runs so far.
func (r *Rig) publish(w Work) (rep server.Report, err error) {
	err = r.server.Call(server.Request{Publish: &server.Run{
		ID: r.runs, Kind: r.load.Kind, Targets: r.load.targets(), Size: w.Size, JSON: w.JSON, Rate: w.Rate, Window: w.Window,
		Duration: w.Duration, Events: w.Events,
	}}, &rep)
	if err == nil {
		r.total = rep.Total
	}
	return rep, err
}

// Again publishes more as part of the last run.
func (r *Rig) Again(w Work) (server.Report, error) { return r.publish(w) }

// Publish publishes without looking at what arrives, for another load than the rig's own. The events are stamped with
// run.
func (r *Rig) Publish(run uint32, w Work) (server.Report, error) {
	r.runs = run
	return r.publish(w)
}

// BindLoad binds this process, and those that it starts, to the processor of the load until restore is called.
func BindLoad() (restore func(), err error) { return proc.Bind(readerCPU) }

// Run publishes and waits until everything has come. The processor time is taken around both, so that a server which
// queues pays for what it queued.
func (r *Rig) Run(w Work) (f Figures, err error) {
	r.runs++
	if err = r.reader.Call(reader.Request{Measure: &reader.Measure{Run: r.runs, Had: r.total}}, nil); err != nil {
		return f, err
	}
	before, err := r.Usage(false)
	if err != nil {
		return f, err
	}
	rep, err := r.publish(w)
	if err != nil {
		return f, err
	}
	var res reader.Result
	if err = r.reader.Call(reader.Request{Finish: &reader.Finish{Total: r.total, Quiet: quiet}}, &res); err != nil {
		return f, err
	}
	f = Figures{
		Counts: res.Counts, Latency: res.Latency, Events: rep.Total - rep.First, Late: rep.Late,
		Elapsed: time.Duration(res.Last - rep.Start), ReaderCPU: res.CPU, ReaderBusy: float64(res.CPU) / float64(res.Elapsed),
		Stuck: rep.Stuck, Refused: rep.Failed, Fault: rep.Fault,
	}
	f.Usage, err = r.Usage(false)
	f.ServerCPU = time.Duration(f.Usage.CPU - before.CPU)
	f.Allocs = f.Usage.Allocs - before.Allocs
	return f, err
}
