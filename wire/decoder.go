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

// Decoder reads events from a stream. It follows the WHATWG rules to the
// letter, which includes: a byte order mark only at the start; lines that end
// with LF, CR or CRLF, also when split between reads; retry with ASCII digits
// only; an ID with NUL ignored; the ID of one event kept for those after it;
// blocks without data not dispatched; an event that the stream's end cuts off
// dropped; invalid UTF-8 replaced by U+FFFD.
//
// A Decoder is for one goroutine at a time. It reads ahead, 8 KiB at most.
type Decoder struct {
	r      io.Reader
	buf    []byte
	parser Parser
	loaded bool  // the parser is in the middle of buf
	err    error // sticky: of the reader

	// The strings made last, since streams repeat them.
	id, event string
}

const readBuffer = 8 << 10

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
	for {
		if d.loaded {
			var raw RawEvent
			if d.parser.next(&raw) {
				return d.toEvent(raw), nil
			}
			d.parser.suspend()
			d.loaded = false
		}
		if d.parser.err != nil {
			return Event{}, d.parser.err
		}
		if d.err != nil {
			return Event{}, d.err
		}
		d.read()
	}
}

// maxEmptyReads is how often a reader may return nothing before it is taken as
// broken.
const maxEmptyReads = 100

// read loads the parser with what the reader has next, or sets d.err, or both.
func (d *Decoder) read() {
	if d.buf == nil {
		d.buf = make([]byte, readBuffer)
	}
	for range maxEmptyReads {
		n, err := d.r.Read(d.buf)
		d.err = err
		if n > 0 {
			d.parser.load(d.buf[:n])
			d.loaded = true
		}
		if n > 0 || err != nil {
			return
		}
	}
	d.err = io.ErrNoProgress
}

func (d *Decoder) toEvent(raw RawEvent) Event {
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
