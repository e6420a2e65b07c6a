package compress

import (
	"encoding/binary"
	"sync"

	"github.com/klauspost/compress/flate"
)

const (
	// minRun is the number of bytes below which a run is stored: what coding it
	// saves is less than what it costs, and often nothing.
	minRun = 192

	// gzipLevel is the fastest: on runs of JSON the next ones save about a
	// fiftieth more, and take four times the memory for their tables.
	gzipLevel = flate.BestSpeed

	// maxStoredBlock is the most that one stored block of deflate can hold.
	maxStoredBlock = 1<<16 - 1
)

// Gzip is the gzip coding (RFC 1952), as one member for a whole stream: its
// header, then a few deflate blocks for each run, of which the last one is empty
// and stored, so that a receiver has all before it.
//
// A stream has no trailer, which would be a check sum of all that this connection
// got. A receiver has every event by then, but may take the end for a broken one;
// docs/protocol.md says which ones do.
//
// The zero value is ready, may be used from any goroutine, and must not be copied.
type Gzip struct {
	// deflaters lends them: one is some 500 KiB, and no more are in use at a time than
	// goroutines that code.
	deflaters sync.Pool
}

// Name is the coding's name in Content-Encoding.
func (*Gzip) Name() string { return "gzip" }

// AppendStart appends what a stream begins with.
func (*Gzip) AppendStart(dst []byte) []byte {
	return append(dst, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff) // no name, no time, no system
}

// AppendRun appends the coded run, which is never much longer than the run.
func (g *Gzip) AppendRun(dst, run []byte) []byte {
	if len(run) == 0 {
		return dst
	}
	if len(run) < minRun {
		return appendStored(dst, run)
	}
	d, _ := g.deflaters.Get().(*deflater)
	if d == nil {
		d = newDeflater()
	}
	defer g.deflaters.Put(d)
	start := len(dst)
	d.out = dst
	d.w.Reset(d)
	_, _ = d.w.Write(run) // the deflater does not fail
	_ = d.w.Flush()
	dst, d.out = d.out, nil
	if len(dst)-start >= storedLen(run) {
		return appendStored(dst[:start], run)
	}
	return dst
}

// deflater is a writer of deflate that appends.
type deflater struct {
	w   *flate.Writer
	out []byte
}

// Write implements io.Writer.
func (d *deflater) Write(p []byte) (int, error) {
	d.out = append(d.out, p...)
	return len(p), nil
}

func newDeflater() *deflater {
	d := &deflater{}
	w, err := flate.NewWriter(d, gzipLevel)
	if err != nil {
		panic("compress: " + err.Error()) // only for a level that does not exist
	}
	d.w = w
	return d
}

// storedLen is the length of a run as stored blocks.
func storedLen(run []byte) int {
	return len(run) + 5*((len(run)+maxStoredBlock-1)/maxStoredBlock) + 5
}

// appendStored appends a run as stored blocks. The empty one behind it is for
// receivers that give out a block only with the next, as Go's does.
func appendStored(dst, run []byte) []byte {
	for len(run) > 0 {
		n := min(len(run), maxStoredBlock)
		dst = append(appendStoredHeader(dst, n), run[:n]...)
		run = run[n:]
	}
	return appendStoredHeader(dst, 0)
}

func appendStoredHeader(dst []byte, n int) []byte {
	dst = binary.LittleEndian.AppendUint16(append(dst, 0), uint16(n))
	return binary.LittleEndian.AppendUint16(dst, ^uint16(n))
}
