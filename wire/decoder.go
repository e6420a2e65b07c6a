package wire

import (
	"io"
	"time"
)

// DecoderOption is an option of [NewDecoder].
type DecoderOption func(*Decoder)

// WithMaxEventSize bounds the data of an event in bytes, and with it any line and
// all others, as [Parser.MaxEventSize] says. The default, also for n ≤ 0, is
// [DefaultMaxEventSize].
func WithMaxEventSize(n int) DecoderOption {
	return func(d *Decoder) { d.parser.MaxEventSize = max(n, 0) }
}

// WithLastID sets the last event ID that the stream begins with: on a resumed
// stream, an event without an ID must not make the client forget its position.
func WithLastID(id string) DecoderOption {
	return func(d *Decoder) { d.parser.setLastID(id) }
}

// WithComments hands the text of each comment to fn, without the colon and one
// space behind it, while [Decoder.Next] or [Decoder.NextRaw] looks for the event
// that comes after it. The text is valid until fn returns.
func WithComments(fn func(text []byte)) DecoderOption {
	return func(d *Decoder) { d.parser.OnComment = fn }
}

// Decoder reads events from a stream. It follows the WHATWG rules to the
// letter, which includes: a byte order mark only at the start; lines that end
// with LF, CR or CRLF, also when split between reads; retry with ASCII digits
// only; an ID with NUL ignored; the ID of one event kept for those after it;
// blocks without data not dispatched; an event that the stream's end cuts off
// dropped; invalid UTF-8 replaced by U+FFFD.
//
// A Decoder is for one goroutine at a time. It reads ahead by its buffer, which
// is 1 KiB and grows to 32 KiB as long as the stream fills it.
type Decoder struct {
	r      io.Reader
	buf    []byte
	scant  int // reads in a row that took less than a quarter of buf
	parser Parser
	loaded bool  // the parser is in the middle of buf
	err    error // sticky: of the reader

	// The strings made last, since streams repeat them.
	id, event string
}

// Bounds of the read buffer, and after how many scant reads it is halved: many
// streams that had one burst each should not keep what it took.
const (
	minReadBuffer = 1 << 10
	maxReadBuffer = 32 << 10
	maxScantReads = 64
)

// NewDecoder returns a decoder of the stream r.
func NewDecoder(r io.Reader, opts ...DecoderOption) *Decoder {
	d := &Decoder{r: r}
	for _, opt := range opts {
		opt(d)
	}
	return d
}

// Next returns the next event; its Data is a string, its Event is never empty
// and its ID the last one the stream has told. It blocks as long as the reader
// does.
//
// At the end of the stream the error is io.EOF; an event larger than the bound
// gives [ErrEventTooLarge]; errors of the reader come as they are. All of them
// come after the events that were complete before, and stay.
func (d *Decoder) Next() (Event, error) {
	raw, err := d.NextRaw()
	if err != nil {
		return Event{}, err
	}
	return d.Event(raw), nil
}

// NextRaw is Next without copies: the event's slices are valid until the next
// call of Next or NextRaw, and must not be changed. Nothing is allocated in the
// steady state. Unlike Next's, the bytes are as they came: [Decoder.Event]
// makes texts of them.
func (d *Decoder) NextRaw() (raw RawEvent, err error) { // named: the event is written where it is returned
	for {
		if d.loaded {
			if d.parser.next(&raw) {
				return raw, nil
			}
			d.parser.suspend()
			d.loaded = false
		}
		if d.parser.err != nil {
			return raw, d.parser.err
		}
		if d.err != nil {
			return raw, d.err
		}
		d.read()
	}
}

// maxEmptyReads is how often a reader may return nothing before it is taken as
// broken.
const maxEmptyReads = 100

// read loads the parser with what the reader has next, or sets d.err, or both.
func (d *Decoder) read() {
	d.fitBuffer()
	for range maxEmptyReads {
		n, err := d.r.Read(d.buf)
		d.err = err
		if n > 0 {
			d.parser.load(d.buf[:n])
			d.loaded = true
			d.note(n)
		}
		if n > 0 || err != nil {
			return
		}
	}
	d.err = io.ErrNoProgress
}

// fitBuffer makes the buffer as large as what has been read so far asks for.
func (d *Decoder) fitBuffer() {
	size := len(d.buf)
	switch {
	case size == 0:
		size = minReadBuffer
	case d.scant < 0:
		size = min(2*size, maxReadBuffer)
	case d.scant >= maxScantReads:
		size = max(size/2, minReadBuffer)
	default:
		return
	}
	d.scant = 0
	if size != len(d.buf) {
		d.buf = make([]byte, size)
	}
}

// note counts a read of n bytes; one that fills the buffer asks for a larger one
// by a count below zero.
func (d *Decoder) note(n int) {
	switch {
	case n == len(d.buf):
		d.scant = -1
	case n < len(d.buf)/4:
		d.scant++
	default:
		d.scant = 0
	}
}

// Event makes an event of what NextRaw has returned last: its Data is a string,
// its Event is never empty, invalid UTF-8 is replaced. The event is the
// caller's.
func (d *Decoder) Event(raw RawEvent) Event {
	d.id = toText(raw.ID, d.id)
	e := Event{ID: d.id, Event: DefaultEventType, Data: toText(raw.Data, ""), Retry: raw.Retry}
	if len(raw.Event) > 0 {
		d.event = toText(raw.Event, d.event)
		e.Event = d.event
	}
	return e
}

// LastID is the last event ID that the stream has told, to be sent as
// Last-Event-ID when the stream is resumed.
func (d *Decoder) LastID() string { return toText(d.parser.LastID(), d.id) }

// Retry is the reconnection time that the stream has told last, and whether it
// has told one.
func (d *Decoder) Retry() (time.Duration, bool) { return d.parser.Retry() }

// Partial reports whether the stream has ended, so far as it has been read, in
// the middle of an event or a line, which is then lost.
func (d *Decoder) Partial() bool { return d.parser.Partial() }
