package engine

import (
	"bytes"
	"sync/atomic"

	"github.com/spatehub/spate/wire"
	"github.com/valyala/bytebufferpool"
)

// framePool lends the buffers that frames are encoded into, and knows how many
// bytes the ring holds in them.
type framePool struct {
	pool bytebufferpool.Pool

	// held is the number of bytes that the ring's slots hold, frames and names.
	// Publishers add before they claim, the ring's reclaimer subtracts; publishers
	// and shards read it to keep the ring's memory bounded when events, or
	// their audiences, are large.
	held atomic.Int64

	// hungry is the number of pushes that have waited for room for long. While there
	// are some, others make do with less.
	hungry atomic.Int32

	// rests is the number of bytes that connections keep for themselves: what was sent
	// in part. Shards count them.
	rests atomic.Int64

	// lent counts buffers out of the pool, in checked builds only.
	lent atomic.Int64
}

func (p *framePool) get() *bytebufferpool.ByteBuffer {
	if checked {
		p.lent.Add(1)
	}
	return p.pool.Get()
}

// smallRest is up to how many bytes a connection may always keep: no more than
// connections take anyway.
const smallRest = 4 << 10

// restFactor times config.ringBytes is as much as the rests of all connections may take
// together.
const restFactor = 4

// crowded says whether they take more.
func (p *framePool) crowded(ringBytes int64) bool { return p.rests.Load() > restFactor*ringBytes }

// put takes a buffer back. In checked builds its bytes are spoilt first, so
// that a late reader sends garbage and a test sees it.
func (p *framePool) put(b *bytebufferpool.ByteBuffer) {
	if checked {
		p.lent.Add(-1)
		spoilt := b.B[:cap(b.B)]
		for i := range spoilt {
			spoilt[i] = 0xDB
		}
	}
	p.pool.Put(b)
}

// decodeFrame parses one frame that this hub encoded.
func decodeFrame(frame []byte) *wire.Event {
	ev, err := wire.NewDecoder(bytes.NewReader(frame), wire.WithMaxEventSize(len(frame)+1)).Next()
	if err != nil {
		return &wire.Event{}
	}
	if !bytes.HasPrefix(frame, []byte("id: ")) {
		ev.ID = ""
	}
	return &ev
}
