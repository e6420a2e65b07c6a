package http1

import (
	"bytes"
	"fmt"
)

// chunkPhase is what the next byte of a chunked body belongs to.
type chunkPhase uint8

const (
	inSize chunkPhase = iota
	inExtension
	inSizeLF
	inData
	inDataCR
	inDataLF
	inTrailer // at the start of a trailer line
	inTrailerLine
	inFinalLF
	ended
)

// Chunked takes the chunked coding off a body that arrives in pieces. The zero
// value is at the start of a body. It keeps no bytes.
type Chunked struct {
	left   uint64 // bytes of the chunk not seen yet, or its size so far
	digits uint8  // of the size seen so far
	phase  chunkPhase
}

// Next returns the next run of body bytes in p, as a slice of p, and what is
// left of p after it. An empty data means that p is used up, or that the body
// has ended.
func (c *Chunked) Next(p []byte) (data, rest []byte, err error) {
	p = c.framing(p)
	for len(p) > 0 && c.phase != ended {
		if c.phase == inData {
			n := min(uint64(len(p)), c.left)
			c.left -= n
			if c.left == 0 {
				c.phase = inDataCR
			}
			return p[:n], p[n:], nil
		}
		if c.phase == inExtension || c.phase == inTrailerLine {
			i := bytes.IndexByte(p, '\n')
			if i < 0 {
				return nil, nil, nil
			}
			p = p[i+1:]
			c.lineEnd()
			continue
		}
		if err := c.step(p[0]); err != nil {
			return nil, nil, err
		}
		p = p[1:]
	}
	return nil, p, nil
}

// framing passes over what is between two chunks, where it is there as a whole and in
// its plain form. What it leaves is taken byte by byte.
func (c *Chunked) framing(p []byte) []byte {
	if c.phase == inDataCR && len(p) > 1 && p[0] == '\r' && p[1] == '\n' {
		c.phase, p = inSize, p[2:]
	}
	if c.phase != inSize || c.digits != 0 {
		return p
	}
	size := uint64(0)
	for i := 0; i < min(len(p)-1, 8); i++ {
		if d := digit(p[i]); d < 16 {
			size = size<<4 | uint64(d)
			continue
		}
		if i > 0 && p[i] == '\r' && p[i+1] == '\n' {
			c.left, p = size, p[i+2:]
			c.sizeKnown()
		}
		break
	}
	return p
}

// digit is the value of a hexadecimal digit, 16 of any other byte.
func digit(b byte) uint8 {
	switch {
	case b >= '0' && b <= '9':
		return b - '0'
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		return b | 0x20 - 'a' + 10
	}
	return 16
}

// Ended reports whether the last chunk and the trailer have been seen.
func (c *Chunked) Ended() bool { return c.phase == ended }

// lineEnd goes on after a size line's extension or a trailer line.
func (c *Chunked) lineEnd() {
	if c.phase == inTrailerLine {
		c.phase = inTrailer
		return
	}
	c.sizeKnown()
}

func (c *Chunked) sizeKnown() {
	c.digits = 0
	if c.left == 0 {
		c.phase = inTrailer
	} else {
		c.phase = inData
	}
}

// step takes one byte of the framing around the data.
func (c *Chunked) step(b byte) error {
	switch c.phase {
	case inSize:
		return c.sizeByte(b)
	case inSizeLF:
		if b != '\n' {
			return c.bad(b)
		}
		c.sizeKnown()
	case inDataCR:
		if b != '\r' {
			return c.bad(b)
		}
		c.phase = inDataLF
	case inDataLF:
		if b != '\n' {
			return c.bad(b)
		}
		c.phase = inSize
	case inTrailer:
		if b == '\r' {
			c.phase = inFinalLF
		} else {
			c.phase = inTrailerLine
		}
	case inFinalLF:
		if b != '\n' {
			return c.bad(b)
		}
		c.phase = ended
	}
	return nil
}

func (c *Chunked) sizeByte(b byte) error {
	d := digit(b)
	switch {
	case d < 16:
	case c.digits > 0 && b == '\r':
		c.phase = inSizeLF
		return nil
	case c.digits > 0 && (b == ';' || b == ' ' || b == '\t'):
		c.phase = inExtension
		return nil
	default:
		return c.bad(b)
	}
	if c.digits == 0 {
		c.left = 0
	}
	if c.digits == 15 {
		return fmt.Errorf("%w: chunk size is too long", ErrMalformed)
	}
	c.left = c.left<<4 | uint64(d)
	c.digits++
	return nil
}

func (c *Chunked) bad(b byte) error {
	return fmt.Errorf("%w: unexpected %q in the chunked coding", ErrMalformed, b)
}
