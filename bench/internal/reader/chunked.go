//go:build linux

package reader

import "github.com/spatehub/spate/loadtest/http1"

// strip moves the data of the chunks in b to its start and returns it; ok is false if b is no chunked stream or the
// stream ends.
func strip(c *http1.Chunked, b []byte) (data []byte, ok bool) {
	kept := 0
	for rest := b; ; {
		part, more, err := c.Next(rest)
		if err != nil {
			return b[:kept], false
		}
		if len(part) == 0 {
			return b[:kept], !c.Ended()
		}
		kept += copy(b[kept:], part)
		rest = more
	}
}
