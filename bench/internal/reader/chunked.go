//go:build linux

package reader

// dechunker takes the framing of HTTP/1.1 chunks out of a stream, in place.
type dechunker struct {
	left  int  // bytes of the chunk's data still to come
	state byte // what comes next
}

// What a dechunker expects next.
const (
	inSize byte = iota // the size line
	inData
	inDataEnd // the line end after a chunk's data
	inExtra   // the rest of the size line: an extension, or the carriage return
)

// strip moves the data of the chunks in b to its start and returns it; ok is false if b is no chunked stream or the
// stream ends.
func (d *dechunker) strip(b []byte) (data []byte, ok bool) {
	kept := 0
	for at := 0; at < len(b); {
		switch d.state {
		case inData:
			n := min(d.left, len(b)-at)
			kept += copy(b[kept:], b[at:at+n])
			at += n
			if d.left -= n; d.left == 0 {
				d.state = inDataEnd
			}
		case inDataEnd:
			if b[at] == '\n' {
				d.state = inSize
			} else if b[at] != '\r' {
				return b[:kept], false
			}
			at++
		default:
			c := b[at]
			at++
			digit, hex := hexDigit(c)
			switch {
			case c == '\n':
				if d.left == 0 {
					return b[:kept], false
				}
				d.state = inData
			case d.state == inExtra:
			case hex && d.left < 1<<28:
				d.left = d.left<<4 | digit
			default:
				d.state = inExtra
			}
		}
	}
	return b[:kept], true
}

func hexDigit(c byte) (int, bool) {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0'), true
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10, true
	}
	return 0, false
}
