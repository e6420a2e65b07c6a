package wire

// Buffered is the memory that the parser's buffers take, in bytes.
func (p *Parser) Buffered() int {
	return cap(p.line) + cap(p.dataBuf) + cap(p.typeBuf) + cap(p.idBuf) + cap(p.lastBuf)
}
