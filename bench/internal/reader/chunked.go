//go:build linux

package reader

// unchunk takes in the chunks that follow the first had bytes of b, which the stream had kept. It returns what to keep,
// and whether the stream goes on. An event that lies within a chunk is looked at where it is.
func (l *loop) unchunk(c *conn, b []byte, had int, now int64) (kept []byte, ok bool) {
	kept = b[:had]
	for rest := b[had:]; ; {
		part, more, err := c.chunks.Next(rest)
		if err != nil {
			return kept, false
		}
		if len(part) == 0 {
			return kept, !c.chunks.Ended()
		}
		if len(kept) > 0 { // it lies before part, with the chunk's size between them
			part = append(kept, part...)
		}
		kept, rest = l.feed(c, part, now), more
	}
}
