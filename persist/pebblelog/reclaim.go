package pebblelog

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// reclaimDelay is how long Pebble has to give back by itself the space of what
	// was removed. It normally does: a file that a range delete covers is dropped
	// unread, as soon as the range delete has been flushed and the file lies in a
	// lower level. Under a stream of records what is not dropped grows for as long:
	// with a bound of 64 MiB and 100 MB/s, the disk use peaks at 290 MB; at 850 MB
	// with ten seconds.
	reclaimDelay = time.Second

	// reclaimMin is how much may stay.
	reclaimMin = 8 << 20
)

// reclaim cuts off the part of the database below the floor if much of it still
// takes space some time after it was removed: files of level 0, and those that were
// being compacted when the range delete got to disk. None of it is read for that.
// maint is held.
func (p *Log) reclaim() error {
	if p.reclaimAt.IsZero() || p.cfg.clock.Now().Before(p.reclaimAt) {
		return nil
	}
	p.reclaimAt = time.Time{}
	return p.excise(reclaimMin)
}

// excise cuts off what is below the floor if it takes so many bytes of disk.
func (p *Log) excise(atLeast uint64) error {
	floor := p.floor.Load()
	removed := []pebble.KeyRange{
		{Start: []byte{keyRecord}, End: recordKey(nil, floor+1)},
		{Start: []byte{keyIndex}, End: appendSegment(nil, (floor+1)>>segmentBits)},
	}
	used, err := p.diskUsage(removed)
	if err != nil || used < atLeast {
		return err
	}
	// What is cut off is gone at once, and after a power cut no record above the
	// floor may be missing. The floor is in one batch with its range delete. Where
	// that is in memory still, Pebble cuts only after it; else it is in a table.
	for _, r := range removed {
		if err := p.gen.db.Excise(context.Background(), r); err != nil {
			return err
		}
	}
	return nil
}

// diskUsage returns about how many bytes of disk the ranges take.
func (p *Log) diskUsage(ranges []pebble.KeyRange) (used uint64, err error) {
	p.measuring.Lock()
	defer p.measuring.Unlock()
	for _, r := range ranges {
		n, err := p.gen.db.EstimateDiskUsage(r.Start, r.End)
		if err != nil {
			return 0, err
		}
		used += n
	}
	return used, nil
}
