//go:build linux

package reader

import "github.com/spatehub/spate/loadtest/stamp"

// A stream that comes and goes stays for some events, which have to follow each other without a hole, and is then closed
// and opened again. It has a number beyond those of the streams that stay, and no part in their counts.

// unseen is the number that such a stream waits for before its first event.
const unseen = ^uint64(0)

// passing takes in an event of a stream that comes and goes.
func (l *loop) passing(c *conn, s *stamp.Stamp) {
	k := &c.check
	switch {
	case k.next == unseen:
	case s.Seq > k.next:
		l.count.Lost += s.Seq - k.next
	case s.Seq < k.next:
		l.count.Duplicates++
		return
	}
	k.next = s.Seq + 1
	c.stayed++
	l.count.Passed++
}

// recycle closes a stream that has stayed for its events and opens it again.
func (l *loop) recycle(c *conn, n int) {
	l.close(c)
	l.open--
	l.opening++
	l.count.Reopened++
	c.stayed, c.check.next = 0, unseen
	l.dial(n)
}
