package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/spatehub/spate/wire"
)

// stream is one connection, open for reading, by one goroutine.
type stream struct {
	ctx    context.Context // ends with the connection; its cause says why
	cancel context.CancelCauseFunc
	body   io.Closer
	header http.Header
	dec    *wire.Decoder
	opened time.Time

	raw    wire.RawEvent // the latest event
	event  *wire.Event   // made of it, nil as long as nobody has asked for it
	events int           // handed out so far, without the hub's disconnect event
	told   string        // its reason, if that was the latest event; else ""
}

// close ends the connection.
func (s *stream) close() {
	s.cancel(nil)
	_ = s.body.Close() // cancelled: there is nothing left that could fail
}

// next reads the next event.
func (s *stream) next() error {
	s.event = nil
	if s.ctx.Err() != nil { // an event read ahead does not come after the end
		return context.Cause(s.ctx)
	}
	var err error
	if s.raw, err = s.dec.NextRaw(); err != nil {
		return s.why(err)
	}
	return nil
}

// why is the reason behind err, an error of reading from the stream.
func (s *stream) why(err error) error {
	switch cause := context.Cause(s.ctx); {
	case cause != nil:
		return cause
	case s.told != "" && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)):
		// The latter of a stream of gzip, which a hub leaves without a trailer.
		return &EndError{Reason: s.told}
	case !errors.Is(err, io.EOF):
		return err
	case s.dec.Partial():
		return ErrCut
	}
	return ErrStreamEnd
}

// made is the latest event as everybody but the zero-copy mode gets it.
func (s *stream) made() *wire.Event {
	if s.event == nil {
		e := s.dec.Event(s.raw)
		s.event = &e
	}
	return s.event
}

// lastID appends the position after the latest event to buf.
func (s *stream) lastID(buf []byte) []byte {
	if utf8.Valid(s.raw.ID) {
		return append(buf, s.raw.ID...)
	}
	return append(buf, s.dec.LastID()...)
}

// isEnd reports whether the options name the latest event as the stream's end,
// and whether it is handed out all the same.
func (s *stream) isEnd(cfg *config) (end, handOut bool) {
	if cfg.hasEndData && string(s.raw.Data) == cfg.endData {
		return true, false
	}
	return cfg.end != nil && cfg.end(s.made()), true
}
