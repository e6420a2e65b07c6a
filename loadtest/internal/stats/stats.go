// Package stats is what the subscribers of a run count. Each event loop, or
// group of streams, fills a Stats of its own; they are merged once in a while.
package stats

import (
	"maps"

	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/hist"
)

// Counters are sums over streams since the last reset.
type Counters struct {
	Connects    int64 `json:"connects"`    // connection attempts
	Opened      int64 `json:"opened"`      // streams accepted by the server
	Resumed     int64 `json:"resumed"`     // of Opened: with Last-Event-ID
	Dropped     int64 `json:"dropped"`     // streams that the tester itself closed (churn, storm)
	Disconnects int64 `json:"disconnects"` // streams that the server, or the network, ended
	Bytes       int64 `json:"bytes"`       // response bytes, heads and chunk framing included
	Events      int64 `json:"events"`      // all events, whoever published them

	Deliveries   int64 `json:"deliveries"`   // first receipts of the run's own events by their addressees
	Replayed     int64 `json:"replayed"`     // of Deliveries: issued before the stream joined or came back
	WarmUp       int64 `json:"warm_up"`      // of Deliveries: due before the measured time began
	Duplicates   int64 `json:"duplicates"`   // received again
	Disorder     int64 `json:"disorder"`     // of Deliveries: after an event with a higher number
	Misaddressed int64 `json:"misaddressed"` // for another user, or a topic not followed
	Corrupt      int64 `json:"corrupt"`      // stamped, but damaged or shortened
	Foreign      int64 `json:"foreign"`      // without a stamp, or of another run
	Gaps         int64 `json:"gaps"`         // events that tell of lost history
	Comments     int64 `json:"comments"`     // heartbeats
	IDDisorder   int64 `json:"id_disorder"`  // decimal IDs that did not rise within a connection
}

// Add adds o to c.
func (c *Counters) Add(o *Counters) {
	c.Connects += o.Connects
	c.Opened += o.Opened
	c.Resumed += o.Resumed
	c.Dropped += o.Dropped
	c.Disconnects += o.Disconnects
	c.Bytes += o.Bytes
	c.Events += o.Events
	c.Deliveries += o.Deliveries
	c.Replayed += o.Replayed
	c.WarmUp += o.WarmUp
	c.Duplicates += o.Duplicates
	c.Disorder += o.Disorder
	c.Misaddressed += o.Misaddressed
	c.Corrupt += o.Corrupt
	c.Foreign += o.Foreign
	c.Gaps += o.Gaps
	c.Comments += o.Comments
	c.IDDisorder += o.IDDisorder
}

// Open is how many streams are open, of a run's sums.
func (c *Counters) Open() int64 { return c.Opened - c.Dropped - c.Disconnects }

// Stats is what a part of the streams has counted. It is for one goroutine at a
// time.
type Stats struct {
	Counters
	Errors map[string]int64 // failed attempts and broken streams by kind

	Latency hist.Hist // due time to receipt of live events on normal streams
	Connect hist.Hist // start of the connection until it is usable, TLS included
	TTFB    hist.Hist // request sent until the first byte of the response
	Resume  hist.Hist // start of a reconnection until nothing from before it is missing
	Lag     hist.Hist // lateness of the tester's own timers in this process

	LastDelivery int64 // time of the last first receipt, nanoseconds since the Unix epoch
	Busy, Span   int64 // nanoseconds that event loops worked, of those that they existed
	CPU          int64 // nanoseconds of processor time of worker processes
	RSS          int64 // resident memory of a worker process now, bytes; not merged
}

// maxErrorKinds keeps a server that invents errors from filling the memory.
const maxErrorKinds = 64

// Fail counts one error of the given kind.
func (s *Stats) Fail(kind string) {
	if s.Errors == nil {
		s.Errors = map[string]int64{}
	}
	if _, known := s.Errors[kind]; !known && len(s.Errors) >= maxErrorKinds {
		kind = "other"
	}
	s.Errors[kind]++
}

// Merge adds o to s.
func (s *Stats) Merge(o *Stats) {
	s.Counters.Add(&o.Counters)
	if len(o.Errors) > 0 && s.Errors == nil {
		s.Errors = map[string]int64{}
	}
	for kind, n := range o.Errors {
		s.Errors[kind] += n
	}
	s.Latency.Merge(&o.Latency)
	s.Connect.Merge(&o.Connect)
	s.TTFB.Merge(&o.TTFB)
	s.Resume.Merge(&o.Resume)
	s.Lag.Merge(&o.Lag)
	s.LastDelivery = max(s.LastDelivery, o.LastDelivery)
	s.Busy += o.Busy
	s.Span += o.Span
	s.CPU += o.CPU
}

// Reset forgets everything but keeps the memory.
func (s *Stats) Reset() {
	clear(s.Errors)
	errors := s.Errors
	for _, h := range []*hist.Hist{&s.Latency, &s.Connect, &s.TTFB, &s.Resume, &s.Lag} {
		h.Reset()
	}
	*s = Stats{Errors: errors, Latency: s.Latency, Connect: s.Connect, TTFB: s.TTFB, Resume: s.Resume, Lag: s.Lag}
}

// Clone copies s, so that the copy shares nothing with it.
func (s *Stats) Clone() *Stats {
	c := &Stats{}
	c.Merge(s)
	c.Errors = maps.Clone(s.Errors)
	return c
}

// Final is what is known once a run is over.
type Final struct {
	Loss      check.Loss // of normal streams
	Unread    uint64     // published for slow streams, but not read by them yet
	Offline   int        // streams that were not open at the end
	NeverOpen int        // streams that the server never accepted
}

// Add adds o to f.
func (f *Final) Add(o Final) {
	f.Loss.Add(o.Loss)
	f.Unread += o.Unread
	f.Offline += o.Offline
	f.NeverOpen += o.NeverOpen
}
