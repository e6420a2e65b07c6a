package overview

import (
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/serve/stream"
)

// buckets is the number of buckets of the engine's histograms of time and events.
const buckets = 26

// hist is the counts of one of the engine's histograms. They may wrap around: only
// differences are looked at.
type hist [buckets]uint32

// add adds the counts of a histogram; what is beyond the last bucket is in the last.
func (h *hist) add(counts []uint64) {
	for i, n := range counts {
		h[min(i, buckets-1)] += uint32(n)
	}
}

// sample is the hub at one moment. Its size is fixed: all that is kept is so many of them.
type sample struct {
	at         int64 // Unix milliseconds
	hub        engine.Stats
	transports stream.Transports
	cpu        float64 // seconds of processor time of the process
	resident   uint64
	goroutines int

	records, bytes, disk int64 // of the log

	commit, send, lag hist
}

// Source is what samples are taken of.
type Source struct {
	Hub     *engine.Hub
	Log     persist.Stats // nil: there is none
	Process func() Process
}

// Process is what a sample tells of the process; what is not known is 0.
type Process struct {
	CPU        float64 // seconds
	Resident   uint64  // bytes
	Goroutines int
}

// logEvery is how many samples share one look at the log, which may be a look at the disk.
const logEvery = 5

// take takes a sample. last is the one before it, unless it is nil.
func (s *Source) take(at int64, last *sample, askLog bool) sample {
	p := s.Process()
	now := sample{
		at: at, hub: s.Hub.Stats(), transports: stream.TransportStats(),
		cpu: p.CPU, resident: p.Resident, goroutines: p.Goroutines,
	}
	for _, h := range s.Hub.Histograms() {
		switch h.Name {
		case "push_commit_seconds":
			now.commit.add(h.Counts)
		case "commit_socket_seconds":
			now.send.add(h.Counts)
		case "lag_events":
			now.lag.add(h.Counts)
		}
	}
	switch {
	case s.Log == nil:
	case last == nil || askLog:
		l := s.Log.LogStats()
		now.records, now.bytes, now.disk = l.Count, l.Bytes, l.DiskBytes
	default:
		now.records, now.bytes, now.disk = last.records, last.bytes, last.disk
	}
	return now
}

// quantile returns the value below which the share q of what was counted between two
// samples lies, in units of the first bucket's bound: bucket i is up to 2^i. It lies
// evenly within its bucket, as far as is known. ok is false where nothing was counted.
func quantile(before, now *hist, q float64) (v float64, ok bool) {
	var all uint64
	for i := range now {
		all += uint64(now[i] - before[i])
	}
	if all == 0 {
		return 0, false
	}
	rank := q * float64(all)
	low, high := 0.0, 1.0
	for i := range now {
		n := float64(now[i] - before[i])
		if n >= rank {
			return low + (high-low)*rank/n, true
		}
		rank -= n
		low = high
		if i < buckets-2 { // what is above all bounds counts as the largest
			high *= 2
		}
	}
	return high, true
}
