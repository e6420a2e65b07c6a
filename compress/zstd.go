package compress

import (
	"encoding/binary"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// zstdWindow is what an encoder remembers of a run, and a receiver has to.
	zstdWindow = 64 << 10

	// maxFrame bounds a frame: longer runs are several. A receiver may keep a
	// whole one, and HTTP's bound for it is 8 MiB (RFC 9659).
	maxFrame = 1 << 20
)

// Zstd is the zstd coding (RFC 8878), a frame for each run. A stream may end after
// any of them.
//
// The zero value is ready, may be used from any goroutine, and must not be copied.
type Zstd struct {
	// encoders lends encoders: one has some 400 KiB, and no more are in use at a time
	// than goroutines that code. One for all would make them wait for each other.
	encoders sync.Pool
}

// Name is the coding's name in Content-Encoding.
func (*Zstd) Name() string { return "zstd" }

// AppendStart appends what a stream begins with: nothing.
func (*Zstd) AppendStart(dst []byte) []byte { return dst }

// AppendRun appends the coded run, which is never much longer than the run.
func (z *Zstd) AppendRun(dst, run []byte) []byte {
	for len(run) > 0 {
		n := min(len(run), maxFrame)
		dst = z.appendFrame(dst, run[:n])
		run = run[n:]
	}
	return dst
}

func (z *Zstd) appendFrame(dst, run []byte) []byte {
	if len(run) < minRun {
		return appendRaw(dst, run)
	}
	e, _ := z.encoders.Get().(*zstd.Encoder)
	if e == nil {
		e = newEncoder()
	}
	defer z.encoders.Put(e)
	return e.EncodeAll(run, dst)
}

func newEncoder() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		panic("compress: " + err.Error()) // only for options that contradict each other
	}
	return e
}

// appendRaw appends a run, shorter than minRun, as a frame of one raw block.
func appendRaw(dst, run []byte) []byte {
	const magic, singleSegment, last = 0xFD2FB528, 1 << 5, 1
	dst = binary.LittleEndian.AppendUint32(dst, magic)
	dst = append(dst, singleSegment, byte(len(run))) // of which the size is the window's, too
	head := uint32(len(run))<<3 | last
	dst = append(dst, byte(head), byte(head>>8), byte(head>>16))
	return append(dst, run...)
}
