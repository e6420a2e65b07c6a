package session

import (
	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/hist"
)

// This file is what the subscribers of a run count. Each event loop, or group of
// streams, fills a Stats of its own; they are merged once in a while.

// Counters are sums over streams since the last reset.
type Counters struct {
	Connects    int64 `json:"connects"`    // connection attempts
	Opened      int64 `json:"opened"`      // streams accepted by the server
	Resumed     int64 `json:"resumed"`     // of Opened: with Last-Event-ID
	Dropped     int64 `json:"dropped"`     // streams that the tester itself closed (churn, storm)
	Disconnects int64 `json:"disconnects"` // streams that the server, or the network, ended
	Bytes       int64 `json:"bytes"`       // response bytes, heads and chunk framing included
	Events      int64 `json:"events"`      // all events, whoever published them
	DataBytes   int64 `json:"data_bytes"`  // of the events' data

	Deliveries   int64 `json:"deliveries"`   // first receipts of the run's own events by their addressees
	Replayed     int64 `json:"replayed"`     // of Deliveries: issued before the stream joined or came back
	WarmUp       int64 `json:"warm_up"`      // of Deliveries: due before the measured time began
	Duplicates   int64 `json:"duplicates"`   // received again
	Disorder     int64 `json:"disorder"`     // of Deliveries: after an event with a higher number
	Misaddressed int64 `json:"misaddressed"` // for another user, or a topic not followed
	Corrupt      int64 `json:"corrupt"`      // stamped, but damaged or shortened, or under another type than was published
	Foreign      int64 `json:"foreign"`      // without a stamp, or of another run
	Gaps         int64 `json:"gaps"`         // events that tell of lost history
	Comments     int64 `json:"comments"`     // heartbeats
	IDDisorder   int64 `json:"id_disorder"`  // decimal IDs that did not rise within a connection
	IDSwapped    int64 `json:"id_swapped"`   // of IDDisorder: of events in Duplicates or Disorder
	IDMissing    int64 `json:"id_missing"`   // the run's own events without a decimal ID
	IDDuplicates int64 `json:"id_duplicates"`

	Silences   int64 `json:"silences"`    // spans without an event that were longer than -silence
	DelayNone  int64 `json:"delay_none"`  // events in which -time-from found no time
	DelayAhead int64 `json:"delay_ahead"` // events whose time was in the future

	Completed int64 `json:"completed"` // finite streams that came to their end
	Truncated int64 `json:"truncated"` // finite streams that ended before it
	Refused   int64 `json:"refused"`   // requests for a finite stream without one
	Tokens    int64 `json:"tokens"`    // of finite streams
	Unstarted int64 `json:"unstarted"` // arrivals for which no stream was free, given up
}

// fields lists the counters, for sums.
func (c *Counters) fields() []*int64 {
	return []*int64{
		&c.Connects, &c.Opened, &c.Resumed, &c.Dropped, &c.Disconnects, &c.Bytes, &c.Events, &c.DataBytes,
		&c.Deliveries, &c.Replayed, &c.WarmUp, &c.Duplicates, &c.Disorder, &c.Misaddressed, &c.Corrupt, &c.Foreign, &c.Gaps, &c.Comments,
		&c.IDDisorder, &c.IDSwapped, &c.IDMissing, &c.IDDuplicates, &c.Silences, &c.DelayNone, &c.DelayAhead,
		&c.Completed, &c.Truncated, &c.Refused, &c.Tokens, &c.Unstarted,
	}
}

// Add adds o to c.
func (c *Counters) Add(o *Counters) {
	from := o.fields()
	for i, f := range c.fields() {
		*f += *from[i]
	}
}

// Open is how many streams are open, of a run's sums.
func (c *Counters) Open() int64 {
	return c.Opened - c.Dropped - c.Disconnects - c.Completed - c.Truncated
}

// Type is what was received of one event type.
type Type struct {
	Events, Bytes int64
	Delay         hist.Hist
}

// Group is what was received by one group of streams.
type Group struct {
	Deliveries int64
	Latency    hist.Hist
}

// Group returns what counts for group g.
func (s *Stats) Group(g int) *Group {
	for len(s.Groups) <= g {
		s.Groups = append(s.Groups, Group{})
	}
	return &s.Groups[g]
}

// Hists are the distributions.
type Hists struct {
	Latency hist.Hist // due time to receipt of live events on normal streams
	Connect hist.Hist // start of a connection until it is usable, TLS included
	TTFB    hist.Hist // request sent until the first byte of the response
	Resume  hist.Hist // start of a reconnection until nothing from before it is missing
	Lag     hist.Hist // lateness of the tester's own timers, and of its event loops, in this process

	First hist.Hist // request sent until the first event
	Gap   hist.Hist // between two events of a stream
	Delay hist.Hist // time in the data (-time-from) until receipt

	Token   hist.Hist // a request's due time until its first token
	Between hist.Hist // between two tokens
	Whole   hist.Hist // a request's due time until the end of its stream
}

func (h *Hists) fields() []*hist.Hist {
	return []*hist.Hist{&h.Latency, &h.Connect, &h.TTFB, &h.Resume, &h.Lag, &h.First, &h.Gap, &h.Delay, &h.Token, &h.Between, &h.Whole}
}

// Stats is what a part of the streams has counted. It is for one goroutine at a
// time.
type Stats struct {
	Counters
	Hists
	Errors map[string]int64 // failed attempts and broken streams by kind
	Types  map[string]*Type // by event type, where events are observed
	Groups []Group          // by index, as far as they have received something

	Silence      int64 // longest span without an event on an open stream that has ended with one, nanoseconds
	LastDelivery int64 // time of the last first receipt, nanoseconds since the Unix epoch
	Busy, Span   int64 // nanoseconds that event loops worked, of those that they existed
	CPU          int64 // nanoseconds of processor time of worker processes
	RSS          int64 // resident memory of a worker process now, bytes; not merged
}

// maxKinds keeps a server that invents errors or event types from filling the
// memory.
const maxKinds = 64

// Other stands for all kinds beyond the first 64.
const Other = "other"

// Fail counts one error of the given kind.
func (s *Stats) Fail(kind string) {
	if s.Errors == nil {
		s.Errors = map[string]int64{}
	}
	if _, known := s.Errors[kind]; !known && len(s.Errors) >= maxKinds {
		kind = Other
	}
	s.Errors[kind]++
}

// Type returns what counts events of the given type; it allocates for a new type
// only.
func (s *Stats) Type(name []byte) *Type {
	if t := s.Types[string(name)]; t != nil {
		return t
	}
	return s.newType(string(name))
}

func (s *Stats) newType(name string) *Type {
	if s.Types == nil {
		s.Types = map[string]*Type{}
	}
	if len(s.Types) >= maxKinds {
		name = Other
	}
	t := s.Types[name]
	if t == nil {
		t = &Type{}
		s.Types[name] = t
	}
	return t
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
	for name, t := range o.Types {
		to := s.Type([]byte(name))
		to.Events += t.Events
		to.Bytes += t.Bytes
		to.Delay.Merge(&t.Delay)
	}
	for g := range o.Groups {
		to := s.Group(g)
		to.Deliveries += o.Groups[g].Deliveries
		to.Latency.Merge(&o.Groups[g].Latency)
	}
	from := o.Hists.fields()
	for i, h := range s.Hists.fields() {
		h.Merge(from[i])
	}
	s.Silence = max(s.Silence, o.Silence)
	s.LastDelivery = max(s.LastDelivery, o.LastDelivery)
	s.Busy += o.Busy
	s.Span += o.Span
	s.CPU += o.CPU
}

// Reset forgets everything but keeps the memory.
func (s *Stats) Reset() {
	clear(s.Errors)
	for _, h := range s.Hists.fields() {
		h.Reset()
	}
	for _, t := range s.Types {
		t.Events, t.Bytes = 0, 0
		t.Delay.Reset()
	}
	for g := range s.Groups {
		s.Groups[g].Deliveries = 0
		s.Groups[g].Latency.Reset()
	}
	*s = Stats{Errors: s.Errors, Types: s.Types, Groups: s.Groups, Hists: s.Hists}
}

// Final is what is known once a run is over.
type Final struct {
	Loss       check.Loss // of normal streams
	GroupLost  []uint64   // of Loss, by group
	Unread     uint64     // published for slow streams, but not read by them yet
	Offline    int        // streams that were not open at the end
	Coming     int        // of Offline: dropped by the tester, and about to come back
	SentAway   int        // streams that the server has told to stay away
	NeverOpen  int        // streams that the server never accepted
	Silent     int        // streams that were open at the end and had had no event for longer than -silence
	Silence    int64      // longest such span, however long, nanoseconds
	Unfinished int        // finite streams that were under way
}

// Add adds o to f.
func (f *Final) Add(o Final) {
	f.Loss.Add(o.Loss)
	for g, n := range o.GroupLost {
		for len(f.GroupLost) <= g {
			f.GroupLost = append(f.GroupLost, 0)
		}
		f.GroupLost[g] += n
	}
	f.Unread += o.Unread
	f.Offline += o.Offline
	f.Coming += o.Coming
	f.SentAway += o.SentAway
	f.NeverOpen += o.NeverOpen
	f.Silent += o.Silent
	f.Silence = max(f.Silence, o.Silence)
	f.Unfinished += o.Unfinished
}
