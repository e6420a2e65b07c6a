package wire

import (
	"bytes"
	"errors"
	"time"
)

// ErrEventTooLarge is the error of a stream with an event, or a line without
// end, that is larger than the parser's bound.
var ErrEventTooLarge = errors.New("wire: event is larger than the parser's bound")

// RawEvent is an event as a [Parser] finds it. Its slices point into the chunk
// or into the parser: they are valid until the callback returns, and must not
// be changed.
type RawEvent struct {
	ID    []byte        // last event ID of the stream, that of this event included
	Event []byte        // type; empty means [DefaultEventType]
	Data  []byte        // lines joined by LF
	Retry time.Duration // the event's own retry field; 0 if it has none
	HasID bool          // the event itself has an ID; if not, ID is an earlier one's
}

// Parser is a push-style parser of one event stream: it is fed what comes off
// the connection, in chunks of any size, and hands out each event as soon as
// its blank line is there. How the stream is cut into chunks changes nothing.
//
// An event that lies wholly in one chunk is handed out as slices of that chunk;
// what is split between chunks, or has several lines of data, is put together
// in the parser's own buffers, which are kept from event to event as long as
// they are small (64 KiB each). So nothing is allocated in the steady state.
//
// Bytes are taken as they are: unlike a [Decoder], a Parser does not replace
// invalid UTF-8.
//
// The zero value is ready for use. A Parser is for one goroutine at a time.
type Parser struct {
	// MaxEventSize bounds the data of one event, its lines joined by LF: what a
	// hub with the same bound takes is what a parser takes. Any line, comments
	// included, and the event's other lines together may have LineRoom bytes
	// more. 0 means DefaultMaxEventSize. Set it before the first Feed.
	MaxEventSize int

	// OnComment, if not nil, gets the text of each comment, without the colon and
	// one space behind it, between the events that it stands between. The text is
	// valid until OnComment returns. Set it before the first Feed.
	OnComment func(text []byte)

	// Chunk: bytes before pos are parsed. lf and cr are the first line feed and
	// carriage return at or after pos if they are ≥ pos, len(chunk) for none, and
	// have to be searched again otherwise. Keeping both makes the search linear
	// whatever the mix of line ends.
	chunk   []byte
	pos     int
	lf, cr  int
	skipLF  bool // the last line ended with CR at a chunk's end: an LF at pos belongs to it
	started bool // the first line is over: no byte order mark any more

	// Event being put together, and the stream's last ID. Slices point to chunk
	// or line until suspend, and into the buffers below while Feed is not
	// running.
	cur       pendingEvent
	last      []byte
	lastOwned bool // last points to lastBuf

	comments uint64
	retry    time.Duration
	hasRetry bool
	err      error // sticky

	// line holds the start of a line whose end has not come yet. When the line
	// is complete its length is set to 0, but the bytes stay until suspend, so
	// that fields may point to them.
	line                             []byte
	dataBuf, typeBuf, idBuf, lastBuf []byte
}

// pendingEvent is what the lines since the last blank line have told.
type pendingEvent struct {
	data, event, id      []byte
	retry                time.Duration
	others               int // length of the lines other than data, without line ends and comments
	hasData, hasID       bool
	dataOwned, typeOwned bool // points to dataBuf, typeBuf
	idOwned              bool // points to idBuf
}

// Feed parses chunk, which may end anywhere, and calls fn for each event that
// it completes. chunk is not kept.
//
// An error of fn, or [ErrEventTooLarge], ends parsing in the middle of chunk:
// Feed returns it now and ever after, until [Parser.Reset].
func (p *Parser) Feed(chunk []byte, fn func(RawEvent) error) error {
	if p.err != nil {
		return p.err
	}
	p.load(chunk)
	var ev RawEvent
	for p.next(&ev) {
		if err := fn(ev); err != nil {
			p.err = err
			break
		}
	}
	p.suspend()
	return p.err
}

// Reset makes the parser ready for a new stream: everything is forgotten but
// MaxEventSize and OnComment.
func (p *Parser) Reset() {
	*p = Parser{
		MaxEventSize: p.MaxEventSize,
		OnComment:    p.OnComment,
		line:         p.line[:0],
		dataBuf:      p.dataBuf[:0],
		typeBuf:      p.typeBuf[:0],
		idBuf:        p.idBuf[:0],
		lastBuf:      p.lastBuf[:0],
	}
}

// Comments is the number of comment lines seen since the stream began.
func (p *Parser) Comments() uint64 { return p.comments }

// LastID is the last event ID of the stream, valid until the next Feed or Reset.
// An ID counts once the blank line behind it has come, even where no event does.
func (p *Parser) LastID() []byte { return p.last }

// Retry is the reconnection time the stream has told last, and whether it has.
func (p *Parser) Retry() (time.Duration, bool) { return p.retry, p.hasRetry }

// Partial reports whether an event, or a line, has begun that is not over yet:
// where the stream ends there, it was cut.
func (p *Parser) Partial() bool {
	line := p.line
	if !p.started {
		line = line[bomLen(line):]
	}
	return len(line) > 0 || p.cur.hasData || p.cur.hasID || len(p.cur.event) > 0
}

func (p *Parser) setLastID(id string) {
	p.lastBuf = append(p.lastBuf[:0], id...)
	p.last, p.lastOwned = p.lastBuf, true
}

// load begins a chunk. Between load and suspend the parser refers to it.
func (p *Parser) load(chunk []byte) {
	p.chunk, p.pos = chunk, 0
	p.lf, p.cr = -1, -1
}

// next parses on to the end of the next event. It reports false when the chunk
// is used up or p.err is set.
func (p *Parser) next(ev *RawEvent) bool {
	for {
		line, ok := p.nextLine()
		if !ok {
			return false
		}
		if len(line) > 0 {
			if !p.field(line) {
				return false
			}
			continue
		}
		if p.cur.hasID {
			p.last, p.lastOwned = p.cur.id, false
		}
		found := p.cur.hasData
		if found {
			*ev = RawEvent{ID: p.last, Event: p.cur.event, Data: p.cur.data, Retry: p.cur.retry, HasID: p.cur.hasID}
		}
		p.cur = pendingEvent{}
		if found {
			return true
		}
	}
}

// nextLine returns the next line without its end, or false when the chunk holds
// no further line end or the line is too long.
func (p *Parser) nextLine() ([]byte, bool) {
	c := p.chunk
	if p.skipLF && p.pos < len(c) {
		p.skipLF = false
		if c[p.pos] == '\n' {
			p.pos++
		}
	}
	if p.lf < p.pos {
		p.lf = indexFrom(c, p.pos, '\n')
	}
	if p.cr < p.pos {
		p.cr = indexFrom(c, p.pos, '\r')
	}
	end := min(p.lf, p.cr)
	if end == len(c) {
		return nil, false
	}
	line := c[p.pos:end]
	p.pos = end + 1
	if end == p.cr {
		if p.pos == len(c) {
			p.skipLF = true
		} else if c[p.pos] == '\n' {
			p.pos++
		}
	}
	if len(p.line) > 0 {
		if !p.carry(line) {
			return nil, false
		}
		line, p.line = p.line, p.line[:0]
	}
	if !p.started {
		p.started = true
		line = bytes.TrimPrefix(line, byteOrderMark)
	}
	return line, true
}

// suspend ends a chunk: what still points to it is copied, and the rest of it,
// a line without end, is kept.
func (p *Parser) suspend() {
	if !p.lastOwned {
		// First of all, since last may point to idBuf.
		if cap(p.lastBuf) > keepBuffer {
			p.lastBuf = nil
		}
		p.lastBuf = append(p.lastBuf[:0], p.last...)
		p.last, p.lastOwned = p.lastBuf, true
	}
	cur := &p.cur
	if cur.hasID && !cur.idOwned {
		p.idBuf = append(p.idBuf[:0], cur.id...)
		cur.id, cur.idOwned = p.idBuf, true
	}
	if len(cur.event) > 0 && !cur.typeOwned {
		p.typeBuf = append(p.typeBuf[:0], cur.event...)
		cur.event, cur.typeOwned = p.typeBuf, true
	}
	if cur.hasData && !cur.dataOwned {
		p.ownData()
	}
	p.dropLarge()
	if rest := p.chunk[p.pos:]; len(rest) > 0 && p.err == nil {
		p.carry(rest)
	}
	p.chunk, p.pos = nil, 0
}

// carry adds part to the line whose end has not come yet. It reports false, and
// sets p.err, if that makes the line too long.
func (p *Parser) carry(part []byte) bool {
	// First roughly, so that a line far too long is not copied before it is
	// refused.
	if len(p.line)+len(part) > p.maxLine()+len(byteOrderMark) {
		p.err = ErrEventTooLarge
		return false
	}
	p.line = append(p.line, part...)
	line := p.line
	if !p.started {
		line = line[bomLen(line):]
	}
	return p.fits(line)
}

// fits reports whether line, complete or not, is within the bound; if not it
// sets p.err. What the lines of an event are together is field's to see.
func (p *Parser) fits(line []byte) bool {
	if len(line) > p.maxLine() {
		p.err = ErrEventTooLarge
		return false
	}
	return true
}

func (p *Parser) maxLine() int { return p.maxSize() + LineRoom }

func (p *Parser) maxSize() int {
	if p.MaxEventSize > 0 {
		return p.MaxEventSize
	}
	return DefaultMaxEventSize
}

// keepBuffer is the largest buffer that the parser keeps for later events.
const keepBuffer = 64 << 10

// dropLarge gives large buffers back once no field points to them. (suspend sees
// to lastBuf, which always has one pointing to it.)
func (p *Parser) dropLarge() {
	if cap(p.line) > keepBuffer && len(p.line) == 0 {
		p.line = nil
	}
	if cap(p.dataBuf) > keepBuffer && !p.cur.dataOwned {
		p.dataBuf = nil
	}
	if cap(p.typeBuf) > keepBuffer && !p.cur.typeOwned {
		p.typeBuf = nil
	}
	if cap(p.idBuf) > keepBuffer && !p.cur.idOwned {
		p.idBuf = nil
	}
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// bomLen is the number of bytes at the start of b that are, or may become, a
// byte order mark.
func bomLen(b []byte) int {
	n := min(len(b), len(byteOrderMark))
	if bytes.Equal(b[:n], byteOrderMark[:n]) {
		return n
	}
	return 0
}
