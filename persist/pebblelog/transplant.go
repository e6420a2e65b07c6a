package pebblelog

import (
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/spatehub/spate/persist/internal/runs"
)

// setFloors gives a new log the floors of another, before the first append.
func (p *Log) setFloors(floor, common uint64, topics map[string]uint64) error {
	p.appending.Lock()
	defer p.appending.Unlock()
	b := p.gen.db.NewBatch()
	defer func() { _ = b.Close() }()
	p.mu.Lock()
	p.mu.floor = floor
	p.floor.Store(floor)
	putID(b, stateFloor, floor)
	p.mu.floors.SetCommon(common)
	putID(b, stateCommon, common)
	// Which topics had bounds the new log does not know.
	p.mu.floors.SetFormer(common)
	putID(b, stateFormer, common)
	for topic, id := range topics {
		if id > max(floor, common) {
			p.mu.raiseFloor(b, topic, id)
		}
	}
	p.mu.Unlock()
	return commit(p.gen, b)
}

// marks are numbers of a log that its records do not tell.
type marks struct {
	gone int64  // the newest time below the floor
	last uint64 // newest ID ever
	lost uint64 // the highest ID that was acknowledged and is missing

	heals uint64 // how often it was healed: which note of refused records holds
}

// setMarks gives a new log the marks of another, after the last append.
func (p *Log) setMarks(m marks) error {
	p.appending.Lock()
	defer p.appending.Unlock()
	b := p.gen.db.NewBatch()
	defer func() { _ = b.Close() }()
	p.mu.Lock()
	last := max(m.last, p.acked.Load())
	putID(b, stateGone, uint64(m.gone))
	putID(b, stateLast, last)
	if m.lost > 0 {
		putID(b, stateLost, m.lost)
	}
	if m.heals > 0 {
		putID(b, stateHeals, m.heals)
	}
	p.mu.floorTime, p.mu.lost = m.gone, m.lost
	p.acked.Store(last)
	p.appending.begun = last
	p.mu.Unlock()
	return commit(p.gen, b)
}

// setRuns gives a new log the runs of another.
func (p *Log) setRuns(list runs.List) error {
	p.appending.Lock()
	defer p.appending.Unlock()
	b := p.gen.db.NewBatch()
	defer func() { _ = b.Close() }()
	for _, r := range list {
		putRun(b, r)
	}
	p.mu.Lock()
	p.mu.runs = list
	p.mu.Unlock()
	return commit(p.gen, b)
}

// unlocked is a file system whose locks are somebody else's affair: the log has locked
// the folder.
type unlocked struct{ vfs.FS }

// Lock implements [vfs.FS].
func (unlocked) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }
