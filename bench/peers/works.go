//go:build linux

package main

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spatehub/spate/bench/internal/reader"
	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/bench/peers/internal/peer"
	"github.com/spatehub/spate/loadtest/stamp"
)

// work is one kind of load, and one table.
type work struct {
	name    string
	title   string
	text    string // what the table shows
	columns []column
	needs   peer.Ability // what a server has to be able to do; "" = nothing that not all can
	without []string     // servers that it is not for
	also    []string     // servers that are for it alone
	rounds  int          // most rounds; 0 = as many as are asked for
	run     func(name string, o options) (sample, error)
}

// among returns those of the servers that the work is for.
func (w *work) among(servers []string) []string {
	list := slices.DeleteFunc(slices.Clone(servers), func(s string) bool { return slices.Contains(w.without, s) })
	return append(list, w.also...)
}

// times is how many rounds the work has.
func (w *work) times(o options) int {
	n := o.rounds
	if w.rounds > 0 {
		n = min(n, w.rounds)
	}
	return n
}

// column is one figure of a table.
type column struct {
	head   string
	digits int
	floor  string // server that the figure is divided by, in brackets; "" = none
}

// sample is what one run of a work on one server gave.
type sample struct {
	values []float64 // one for each column, NaN where there is none; nil if the run does not count
	counts reader.Counts
	fault  string
	cannot string // why the server cannot do the work at all
}

// checked is the sample, without its figures unless everything has arrived that was published: what a server does not
// deliver costs it nothing.
func (s sample) checked() sample {
	if s.counts.Lost > 0 || s.counts.Ended > 0 || strings.Contains(s.fault, stuck) {
		s.values = nil
	}
	return s
}

// stuck is what the rig says of a publisher that could not go on.
const stuck = "publisher stuck"

const (
	eventSize  = 200
	inFlight   = 128 // connections under way while streams are opened
	flatWindow = 512
	settle     = 300 * time.Millisecond
	warmUp     = 500 * time.Millisecond // published before what is measured

	// runLimit bounds one run of a work on one server: what takes longer is ended, and told.
	runLimit = 90 * time.Second
)

// open starts a server and its load, for a run that is bounded.
func open(name string, load rig.Load) (*rig.Rig, error) {
	load.Limit = runLimit
	return rig.New(name, load)
}

func workNames() []string {
	var names []string
	for i := range works {
		names = append(names, works[i].name)
	}
	return names
}

// streams is a number of streams, fewer with -short.
func (o options) streams(n int) int {
	if o.short {
		return n / 4
	}
	return n
}

// latencyColumns are processor time and delays, as multiples of those of floor.
func latencyColumns(floor string) []column {
	return []column{
		{head: "CPU µs/delivery", digits: 2, floor: floor}, {head: "p50 µs"}, {head: "p99 µs", floor: floor}, {head: "max µs"},
	}
}

// latencyValues fills latencyColumns. Where nothing is delivered, the processor time is that of an event.
func latencyValues(f *rig.Figures) []float64 {
	if f.Deliveries == 0 && f.Lost == 0 {
		return []float64{micros(f.ServerCPU) / float64(max(1, f.Events)), math.NaN(), math.NaN(), math.NaN()}
	}
	return []float64{f.PerDelivery(), micros(f.Latency.P50), micros(f.Latency.P99), micros(f.Latency.Max)}
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }

// latency opens streams, publishes a little unmeasured, and then measures. before is called with the open streams.
func latency(name string, load rig.Load, w rig.Work, before func(*rig.Rig) ([]float64, error)) (s sample, err error) {
	r, err := open(name, load)
	if err != nil {
		return s, err
	}
	defer r.Close()
	if before == nil {
		_, err = r.Connect(inFlight)
		time.Sleep(settle)
	} else {
		s.values, err = before(r)
	}
	if err != nil {
		return sample{}, err
	}
	warm := w
	warm.Duration = warmUp
	if f, err := r.Run(warm); err != nil || f.Stuck {
		return sample{fault: f.Faults()}, err
	}
	f, err := r.Run(w)
	s.values = append(s.values, latencyValues(&f)...)
	s.counts, s.fault = f.Counts, f.Faults()
	return s, err
}

// flat measures throughput.
func flat(name string, o options) (s sample, err error) {
	r, err := open(name, rig.Load{Streams: 1000, Kind: stamp.Broadcast, Burst: flatWindow})
	if err != nil {
		return s, err
	}
	defer r.Close()
	if _, err = r.Connect(inFlight); err != nil {
		return s, err
	}
	time.Sleep(settle)
	w := rig.Work{Window: flatWindow, Size: eventSize, Duration: o.span, Events: 64}
	if f, err := r.Run(w); err != nil || f.Stuck {
		return sample{fault: f.Faults()}, err
	}
	w.Events = 0
	f, err := r.Run(w)
	return sample{
		values: []float64{f.Rate(), f.PerDelivery(), float64(f.Usage.RSS) / (1 << 20), f.ReaderBusy},
		counts: f.Counts, fault: f.Faults(),
	}, err
}

// A stream that does not read has these events sent before the delays of the others are measured: large ones, more than
// the kernel holds for it, and then so many that they fill a library's own queue for a client.
const (
	stalledSize  = 8 << 10
	stalledLarge = 700
	stalledSmall = 1200
)

// stalled measures 200 streams alone, and then beside two that do not read.
func stalled(name string, o options) (s sample, err error) {
	for _, n := range []int{0, 2} {
		f, err := beside(name, n, o)
		if err != nil {
			return s, err
		}
		s.values = append(s.values, micros(f.Latency.P50), micros(f.Latency.P99))
		s.counts, s.fault = f.Counts, f.Faults()
	}
	return s, nil
}

func beside(name string, stalled int, o options) (f rig.Figures, err error) {
	r, err := open(name, rig.Load{Streams: 200, Stalled: stalled, Kind: stamp.Broadcast, Burst: 256})
	if err != nil {
		return f, err
	}
	defer r.Close()
	if _, err = r.Connect(inFlight); err != nil {
		return f, err
	}
	time.Sleep(settle)
	for _, fill := range []rig.Work{{Size: stalledSize, Events: stalledLarge}, {Size: eventSize, Events: stalledSmall}} {
		// Few events under way, so that no healthy stream falls behind by what fills the others' buffers.
		fill.Window, fill.Duration = 16, 6*time.Second
		if stalled == 0 {
			fill.Events /= 10
		}
		if f, err = r.Run(fill); err != nil || f.Stuck {
			return f, err
		}
	}
	return r.Run(rig.Work{Rate: 100, Size: stalledSize, Duration: o.span})
}
