package wire

import (
	"bytes"
	"math"
	"time"
)

// field takes in one complete line that is not empty. It reports false, and
// sets p.err, if the line is too long or makes its event too large.
func (p *Parser) field(line []byte) bool {
	if !p.fits(line) {
		return false
	}
	if len(line) >= len(dataPrefix) && string(line[:len(dataPrefix)]) == dataPrefix {
		return p.addData(line[len(dataPrefix):]) // by far the most frequent spelling
	}
	if line[0] == ':' {
		p.comments++
		if p.OnComment != nil {
			p.OnComment(withoutSpace(line[1:]))
		}
		return true
	}
	name, value := line, []byte(nil)
	if i := bytes.IndexByte(line, ':'); i >= 0 {
		name, value = line[:i], withoutSpace(line[i+1:])
	}
	if string(name) == "data" {
		return p.addData(value)
	}
	if p.cur.others += len(line); p.cur.others > p.maxLine() {
		p.err = ErrEventTooLarge
		return false
	}
	switch string(name) {
	case "event":
		p.cur.event, p.cur.typeOwned = value, false
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			p.cur.id, p.cur.idOwned, p.cur.hasID = value, false, true
		}
	case "retry":
		if d, ok := parseRetry(value); ok {
			p.cur.retry = d
			p.retry, p.hasRetry = d, true
		}
	}
	return true
}

// withoutSpace is value without the one space that may stand behind a colon.
func withoutSpace(value []byte) []byte {
	if len(value) > 0 && value[0] == ' ' {
		return value[1:]
	}
	return value
}

// addData adds one line of data. The first is only pointed to; further ones
// make a copy necessary. It reports false, and sets p.err, if the data is too
// large.
func (p *Parser) addData(value []byte) bool {
	cur := &p.cur
	size := len(value)
	if cur.hasData {
		size += len(cur.data) + 1
	}
	if size > p.maxSize() {
		p.err = ErrEventTooLarge
		return false
	}
	if !cur.hasData {
		cur.data, cur.hasData = value, true
		return true
	}
	if !cur.dataOwned {
		p.ownData()
	}
	p.dataBuf = append(p.dataBuf, '\n')
	p.dataBuf = append(p.dataBuf, value...)
	cur.data = p.dataBuf
	return true
}

// ownData copies the data so far to dataBuf.
func (p *Parser) ownData() {
	p.dataBuf = append(p.dataBuf[:0], p.cur.data...)
	p.cur.data, p.cur.dataOwned = p.dataBuf, true
}

// maxRetryMillis is the longest reconnection time that a time.Duration holds.
const maxRetryMillis = math.MaxInt64 / int64(time.Millisecond)

// parseRetry reads a number of milliseconds: ASCII digits only. What is more
// than a time.Duration holds is cut to the most it holds.
func parseRetry(value []byte) (time.Duration, bool) {
	var ms int64
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		if ms > maxRetryMillis {
			continue // more digits still have to be digits
		}
		ms = ms*10 + int64(c-'0')
	}
	return time.Duration(min(ms, maxRetryMillis)) * time.Millisecond, len(value) > 0
}
