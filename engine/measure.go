package engine

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// This file measures how long things take and how large they are, without a
// lock, without allocating, and seldom: a delivery reads no clock. What belongs
// to a shard is measured in a part of the shard's own, by its runner alone, so
// that no line moves between processors.

// measure is what is measured; see histograms for the names.
type measure uint8

const (
	mPushCommit measure = iota
	mCommitSocket
	mPass
	mRingFill
	mLagWindow
	mLagLog
	mConnect
	mResume
	mResumeEvents
	numMeasures
)

// HistogramID names one of the hub's histograms.
type HistogramID struct {
	Name  string // such as "push_commit_seconds"; its last word is the unit
	Class string // of connections, where there are several of a name
	Help  string
}

var histograms = [numMeasures]HistogramID{
	mPushCommit:   {"push_commit_seconds", "", "Time from a push until the log has its events, or, without a log, until they are in the ring. One push in 16."},
	mCommitSocket: {"commit_socket_seconds", "", "Time from the commit of a run of events until a shard has offered it to its connections. One pass in 8."},
	mPass:         {"pass_seconds", "", "Time of a shard's pass over what waits for it. One pass in 8."},
	mRingFill:     {"ring_fill_ratio", "", "Share of the ring that a shard has not delivered, looked at each tick."},
	mLagWindow:    {"lag_events", "window", "Events that a slow connection is behind, looked at each tick: in the window, or reading the log."},
	mLagLog:       {"lag_events", "log", "Events that a slow connection is behind, looked at each tick: in the window, or reading the log."},
	mConnect:      {"connect_seconds", "", "Time from the taking of a connection's seat until its shard has it. One connection at a time."},
	mResume:       {"resume_seconds", "", "Time from joining until a connection that resumes is up to date."},
	mResumeEvents: {"resume_events", "", "Events that a connection got from history until it was up to date."},
}

// The scale of a measure: its unit within the engine, and how many of them are
// one of the unit's that is shown.
func (m measure) scale() float64 {
	switch m {
	case mRingFill:
		return ringParts
	case mLagWindow, mLagLog, mResumeEvents:
		return 1
	default:
		return 1e6 // microseconds
	}
}

// ringParts is how finely the ring's fill is told.
const ringParts = 20

// numBuckets bounds the buckets: powers of two of a microsecond up to half a
// minute, or of an event up to 16 million. What is larger is in one bucket more.
const numBuckets = 25

// bucket returns the bucket of a value: the first whose bound is not below it.
func (m measure) bucket(v uint64) int {
	if m == mRingFill {
		return int(min(v, ringParts+1))
	}
	if v == 0 {
		return 0
	}
	return min(bits.Len64(v-1), numBuckets)
}

// bound returns the upper bound of a bucket, in the unit that is shown.
func (m measure) bound(i int) float64 {
	if m == mRingFill {
		return float64(i) / ringParts
	}
	return float64(uint64(1)<<i) / m.scale()
}

// buckets returns how many bounds the measure has.
func (m measure) buckets() int {
	if m == mRingFill {
		return ringParts + 1
	}
	return numBuckets
}

// measured are buckets, each with the number of its values alone, and the sums.
// Any goroutine adds and reads. The writer of a shard's is the shard's runner.
type measured struct {
	_    [64]byte
	n    [numMeasures][numBuckets + 1]atomic.Uint64
	sums [numMeasures]atomic.Uint64
	_    [64]byte
}

func (d *measured) add(m measure, v uint64) {
	d.n[m][m.bucket(v)].Add(1)
	d.sums[m].Add(v)
}

func (d *measured) addTime(m measure, t time.Duration) {
	d.add(m, uint64((max(0, t)+time.Microsecond-1)/time.Microsecond))
}

// Histogram is a snapshot of one of the hub's histograms. Its values are counted
// once each: Counts[i] are those above Bounds[i-1] and up to Bounds[i], and the
// last count is of those above all bounds.
type Histogram struct {
	HistogramID
	Bounds []float64
	Counts []uint64
	Sum    float64
}

// Histograms returns what the hub has measured since it was made, in a fixed
// order. It takes no lock and may be called at any rate; a snapshot may be torn
// by the values under way.
func (h *Hub) Histograms() []Histogram {
	all := make([]Histogram, numMeasures)
	for m := range numMeasures {
		g := Histogram{HistogramID: histograms[m], Counts: make([]uint64, m.buckets()+1)}
		for i := range m.buckets() {
			g.Bounds = append(g.Bounds, m.bound(i))
		}
		sum := h.measured.into(m, g.Counts)
		for _, s := range h.shards {
			sum += s.measured.into(m, g.Counts)
		}
		g.Sum = float64(sum) / m.scale()
		all[m] = g
	}
	return all
}

// into adds the counts, and returns the sum of the values.
func (d *measured) into(m measure, counts []uint64) uint64 {
	for i := range counts {
		counts[i] += d.n[m][i].Load()
	}
	return d.sums[m].Load()
}

// instant is a time of the hub's own clock, which does not jump; 0: not known.
type instant int64

func (h *Hub) instant() instant { return instant(time.Since(h.born)) + 1 }

func (h *Hub) since(t instant) time.Duration { return time.Duration(h.instant() - t) }

// One in so many is measured.
const (
	pushSample = 16
	runSample  = 4
	passSample = 8
)

// samplePush returns the time where this push is to be measured, else 0.
func (h *Hub) samplePush() instant {
	if rand.Uint32()%pushSample != 0 {
		return 0
	}
	return h.instant()
}

// sampleRun is the same for a run of the journal.
func (h *Hub) sampleRun() instant {
	if rand.Uint32()%runSample != 0 {
		return 0
	}
	return h.instant()
}

// committedIn is called when the log has what a push brought.
func (h *Hub) committedIn(began instant) {
	if began != 0 {
		h.measured.addTime(mPushCommit, h.since(began))
	}
}

// commits is when the events in the ring were committed, by slot; 0: not known.
// Whoever commits an event writes its slot before the cursor that lets the shards
// see it, and they read it while they hold it.
type commits []instant

func (c commits) set(from, to position, at instant) {
	for p := from; p != to+1; p++ {
		c[p&position(len(c)-1)] = at
	}
}

// sampler says which passes of a shard are measured. It belongs to the runner.
type sampler struct {
	passes uint32
	began  instant // of the pass under way; 0: it is not measured
}

// beginPass and endPass enclose a pass.
func (s *shard) beginPass() {
	if s.sample.passes++; s.sample.passes%passSample == 0 {
		s.sample.began = s.hub.instant()
	}
}

func (s *shard) endPass() {
	if s.sample.began != 0 {
		s.measured.addTime(mPass, s.hub.since(s.sample.began))
		s.sample.began = 0
	}
}

// offered is called when a run has been offered to the shard's connections, but for those
// that are patient, whose wait is not measured. The run's first event has waited longest.
func (s *shard) offered(from position) {
	if s.sample.began == 0 {
		return
	}
	if at := s.hub.commits[from&position(len(s.hub.commits)-1)]; at != 0 {
		s.measured.addTime(mCommitSocket, s.hub.since(at))
	}
}

// measureRing is called at each tick, before the shard looks at the ring.
func (s *shard) measureRing() {
	waiting := uint64(s.hub.latest().pos - s.cursor())
	size := uint64(s.hub.ring.Cap())
	s.measured.add(mRingFill, (waiting*ringParts+size-1)/size)
}

// measureLag is called for each client in trouble at each tick. Of what was pushed
// before the hub began only IDs are known, which have holes: it does not count.
func (s *shard) measureLag(c *client) {
	switch c.state {
	case stateLagging:
		s.measured.add(mLagWindow, uint64(s.cursor()-c.pos))
	case stateBehind:
		s.measured.add(mLagLog, uint64(s.high.id-min(s.high.id, max(c.id, s.hub.origin.id))))
	}
}

// joining is the one connection under way that is measured. Whoever takes a seat
// puts it there if there is none, its shard takes it out.
type joining struct {
	c     atomic.Pointer[client]
	began atomic.Int64
}

func (h *Hub) beginJoin(c *client) {
	if h.joining.c.Load() == nil && h.joining.c.CompareAndSwap(nil, c) {
		h.joining.began.Store(int64(h.instant()))
	}
}

// endJoin is called when the shard has the client, or closes it before.
func (s *shard) endJoin(c *client, joined bool) {
	if s.hub.joining.c.Load() != c {
		return
	}
	if began := instant(s.hub.joining.began.Swap(0)); joined && began != 0 {
		s.measured.addTime(mConnect, s.hub.since(began))
	}
	s.hub.joining.c.Store(nil)
}

// resuming is what is measured of a connection that resumes.
type resuming struct {
	began  instant // 0: it does not resume
	events uint32
}

// endResume is called when a client is up to date.
func (s *shard) endResume(r *resuming) {
	if r.began != 0 {
		s.measured.addTime(mResume, s.hub.since(r.began))
		s.measured.add(mResumeEvents, uint64(r.events))
	}
}
