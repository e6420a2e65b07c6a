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

	// lent counts buffers out of the pool, in checked builds only.
	lent atomic.Int64
}

func (p *framePool) get() *bytebufferpool.ByteBuffer {
	if checked {
		p.lent.Add(1)
	}
	return p.pool.Get()
}

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
