package stream

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream/internal/rawsock"
)

// IOUring makes what [engine.WithBatchWriter] asks for: the events that are delivered
// to plain HTTP/1.1 streams go to the kernel up to [engine.MaxBatchWrites] at a time, by
// io_uring, instead of by a system call for each stream. All other streams are
// written to as without it.
//
// It takes Linux 5.18. Containers and hardened systems often forbid io_uring to
// programs; the error then says what the system said. Each shard takes a descriptor for it,
// and 8 KiB of memory that count as locked.
func IOUring() (engine.BatchWriter, error) {
	b, err := rawsock.NewBatch(engine.MaxBatchWrites)
	if err != nil {
		return nil, fmt.Errorf("io_uring cannot be used here%s: %w", whyNoIOUring(err), err)
	}
	return batchWriter{b}, nil
}

// whyNoIOUring is what mostly lies behind what the system says.
func whyNoIOUring(err error) string {
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return ", as the system forbids it (a container's seccomp profile, or the sysctl kernel.io_uring_disabled)"
	case errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EINVAL), errors.Is(err, errors.ErrUnsupported):
		return ", as it takes Linux 5.18"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return ", as there is no descriptor left"
	case errors.Is(err, syscall.ENOMEM):
		return ", as no more memory may be locked (ulimit -l; 8 KiB for each shard)"
	}
	return ""
}

// batchWriter is a batch as the hub sees it.
type batchWriter struct{ batch *rawsock.Batch }

// Add implements [engine.BatchWriter].
func (w batchWriter) Add(s engine.Sink, p []byte) bool {
	for len(p) > 0 {
		switch sink := s.(type) {
		case rawSink:
			return w.batch.Add(sink.Conn, p)
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
func (w batchWriter) Flush(done func(i, n int, err error)) error { return w.batch.Send(done) }

// Close implements [engine.BatchWriter].
func (w batchWriter) Close() { w.batch.Close() }
