package pebblelog

import (
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/spatehub/spate/persist/internal/runs"
)

// setFloors gives a new log the floors of another, before the first append.
func (p *Log) setFloors(floor uint64, topics map[string]uint64) error {
	p.appending.Lock()
	defer p.appending.Unlock()
	b := p.gen.db.NewBatch()
	defer func() { _ = b.Close() }()
	p.mu.Lock()
	p.mu.floor = floor
	p.floor.Store(floor)
	putID(b, stateFloor, floor)
	for topic, id := range topics {
		if id > floor {
			p.mu.raiseFloor(b, topic, id)
		}
	}
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
