package stream

import (
	"fmt"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream/internal/rawsock"
)

// IOUring makes what [engine.WithBatchWriter] asks for: the events that are delivered
// to plain HTTP/1.1 streams go to the kernel up to [engine.MaxBatchWrites] at a time, by
// io_uring, instead of by a system call for each stream. All other streams are
// written to as without it.
//
// It takes Linux 5.18. Containers and hardened systems often forbid io_uring to
// programs; the error then says what the system said. Each shard takes a descriptor for it.
func IOUring() (engine.BatchWriter, error) {
	b, err := rawsock.NewBatch(engine.MaxBatchWrites)
	if err != nil {
		return nil, fmt.Errorf("io_uring cannot be used here: %w", err)
	}
	return batchWriter{b}, nil
}

// batchWriter is a batch as the hub sees it.
type batchWriter struct{ batch *rawsock.Batch }

// Add implements [engine.BatchWriter].
func (w batchWriter) Add(s engine.Sink, p []byte) bool {
	for len(p) > 0 {
		switch sink := s.(type) {
		case rawSink:
			w.batch.Add(sink.Conn, p)
			return true
		case *session:
			s = sink.sink
		case *leashedSink:
			s = sink.Sink
		default:
			return false
		}
	}
	return false
}

// Flush implements [engine.BatchWriter].
func (w batchWriter) Flush(done func(i, n int, err error)) { w.batch.Send(done) }

// Close implements [engine.BatchWriter].
func (w batchWriter) Close() { w.batch.Close() }
