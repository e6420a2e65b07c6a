package pebblelog

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/runs"
)

// runKey is where a run is kept; its value is the last ID as a uvarint. A key of its
// own for each keeps a start from rewriting them all, and a program that does not
// know of runs passes over them.
func runKey(first uint64) []byte {
	return binary.BigEndian.AppendUint64(slices.Clone(stateRun), first)
}

func parseRun(key, v []byte) (runs.Run, error) {
	last, n := binary.Uvarint(v)
	if len(key) != len(stateRun)+8 || n <= 0 {
		return runs.Run{}, fmt.Errorf("%w: run %q", errValue, key)
	}
	return runs.Run{First: binary.BigEndian.Uint64(key[len(stateRun):]), Last: last}, nil
}

func putRun(b *pebble.Batch, r runs.Run) {
	_ = b.Set(runKey(r.First), binary.AppendUvarint(nil, r.Last), nil)
}

// BeginRun implements [persist.Runs].
func (p *Log) BeginRun(first uint64) error {
	g, err := p.lockAppending()
	if err != nil {
		return err
	}
	defer p.appending.Unlock()
	last := p.acked.Load()
	if err := persist.CheckRun(first, last); err != nil {
		return err
	}
	p.mu.Lock()
	list, ended, gone := p.mu.runs.Begin(first, last)
	p.mu.Unlock()
	b := g.db.NewBatch()
	defer func() { _ = b.Close() }()
	if ended != nil {
		putRun(b, *ended)
	}
	if gone != nil {
		_ = b.Delete(runKey(gone.First), nil)
	}
	putRun(b, runs.Run{First: first})
	lost := p.lost.To
	if first <= lost {
		lost = 0 // it comes again
	}
	if lost != 0 {
		putID(b, stateLost, lost)
	}
	if err := commit(g, b); err != nil {
		return failure(err)
	}
	p.mu.Lock()
	p.mu.runs = list
	p.mu.lost = max(p.mu.lost, lost)
	p.mu.Unlock()
	p.appending.begun = max(p.appending.begun, first-1)
	return nil
}

// Issued implements [persist.Runs].
func (p *Log) Issued(ctx context.Context, id uint64) (bool, error) {
	p.mu.Lock()
	in, before := p.mu.runs.In(id, p.acked.Load()), p.mu.runs.Before(id)
	p.mu.Unlock()
	if in || !before {
		return in, ctx.Err()
	}
	return p.Has(ctx, id)
}

// dropRuns forgets the runs that the floor has passed.
func (s *state) dropRuns(b *pebble.Batch) {
	n := s.runs.Passed(s.floor)
	for _, r := range s.runs[:n] {
		_ = b.Delete(runKey(r.First), nil)
	}
	s.runs = slices.Delete(s.runs, 0, n)
}

// LostAfter implements [persist.Losses].
func (p *Log) LostAfter(id uint64) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id < p.mu.lost {
		return p.mu.lost
	}
	return 0
}

// HighWater implements [persist.Runs].
func (p *Log) HighWater() uint64 { return max(p.acked.Load(), p.high) }
