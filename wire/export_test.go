package wire

// Buffered is the memory that the parser's buffers take, in bytes.
func (p *Parser) Buffered() int {
	return cap(p.line) + cap(p.dataBuf) + cap(p.typeBuf) + cap(p.idBuf) + cap(p.lastBuf)
}

// BufferSize is the size of the decoder's read buffer, in bytes.
func (d *Decoder) BufferSize() int { return len(d.buf) }
