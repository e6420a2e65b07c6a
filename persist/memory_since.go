package persist

import (
	"context"
	"time"

	"github.com/spatehub/spate/persist/internal/bytime"
)

// memChunks are chunks in the order of time.
type memChunks []*memChunk

func (c memChunks) Len() int           { return len(c) }
func (c memChunks) Newest(i int) int64 { return c[i].newest }
func (c memChunks) Reach(i int) int64  { return c[i].reach }

// After implements [Dated].
func (m *Memory) After(ctx context.Context, t time.Time) (id uint64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.expire()
	now := m.cfg.clock.Now().UnixMilli()
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mu.closed {
		return 0, ErrClosed
	}
	since := t.UnixMilli()
	for i := bytime.First(memChunks(m.mu.chunks), since, now); i < len(m.mu.chunks); i++ {
		c := m.mu.chunks[i]
		for j := range c.recs {
			switch r := &c.recs[j]; {
			case r.dead || r.Time < since:
			case r.ID != m.mu.first:
				return r.ID - 1, nil
			case m.mu.floor > 0 && m.mu.floorTime < since:
				return m.mu.floor, nil
			default:
				return 0, nil
			}
		}
	}
	return m.mu.last, nil
}
