//go:build linux

package reader

import (
	"bytes"

	"github.com/spatehub/spate/loadtest/stamp"
)

// feed takes in body bytes of a stream that arrived at now: b is what the stream had kept, followed by what is new. It
// returns what to keep: the beginning of an event that is not all there.
func (l *loop) feed(c *conn, b []byte, now int64) (rest []byte) {
	for {
		at := bytes.IndexByte(b, stamp.Marker[0])
		if at < 0 {
			return nil
		}
		b = b[at:]
		size, complete := l.event(c, b, now)
		if !complete {
			return b
		}
		b = b[size:]
	}
}

// event takes in the event whose stamp b begins with, if b holds all of it, and returns how many bytes to pass over.
func (l *loop) event(c *conn, b []byte, now int64) (size int, complete bool) {
	if k := l.known.find(b, c.check.next); k != nil && c.check.index == 0 && !c.passes {
		if int(k.size) > len(b) {
			return 0, false
		}
		if !intact(b[:k.size], int(k.head)) {
			l.count.Corrupt++
			return int(k.size), true
		}
		c.check.next++
		l.count.Deliveries++
		l.latency.record(now - k.sent)
		return int(k.size), true
	}
	s, head, ok := stamp.ParseHead(b)
	switch {
	case !ok:
		l.count.Corrupt++
		return 1, true
	case head == 0 || int(s.Size) > len(b):
		return 0, false
	case !stamp.Sum(b[:s.Size], head):
		l.count.Corrupt++
		return int(s.Size), true
	case s.Run != l.run:
		l.count.Foreign++
		return int(s.Size), true
	}
	l.observe(c, b, &s, head, now)
	return int(s.Size), true
}

// intact reports whether the padding is there at its beginning, middle and end. The sum of every byte has been checked
// once already, for the stream that made the stamp known; for each of a thousand others it would cost as much as all the
// rest.
func intact(b []byte, head int) bool {
	n := len(b)
	return n == head || b[head] == 'x' && b[(head+n)/2] == 'x' && b[n-1] == 'x'
}

func (l *loop) observe(c *conn, b []byte, s *stamp.Stamp, head int, now int64) {
	if s.Kind != l.plan.Kind || s.Index != c.check.index {
		l.count.Misaddressed++
		return
	}
	if c.passes {
		l.passing(c, s)
		return
	}
	switch {
	case s.Seq == c.check.next:
		c.check.next++
		if s.Kind == stamp.Broadcast {
			l.known.add(b, s, head)
		}
	case s.Seq > c.check.next:
		c.check.skip(s.Seq)
		c.check.next = s.Seq + 1
	case c.check.fill(s.Seq):
		l.count.Disorder++
	default:
		l.count.Duplicates++
		return
	}
	l.count.Deliveries++
	l.latency.record(now - s.Sent)
}
