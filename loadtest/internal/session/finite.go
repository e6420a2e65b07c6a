package session

import (
	"errors"

	"github.com/spatehub/spate/wire"
)

// Finite says what streams that come to an end are like: the answers of a language
// model, for example.
type Finite struct {
	Marker string     // data of the last event; "" = the stream ends with the response
	Token  *Extractor // an event in which it finds text is a token; nil = every event is
}

// ErrDone is the error of Feed once a finite stream has had its last event.
var ErrDone = errors.New("the stream is complete")

// finite takes in one event of a finite stream.
func (r *Reader) finite(s *Session, e *wire.RawEvent) error {
	f := r.env.Finite
	if f.Marker != "" && string(e.Data) == f.Marker {
		return ErrDone
	}
	if f.Token != nil && !f.Token.Has(e) {
		return nil
	}
	if s.tokens == 0 {
		r.Stats.Token.Record(r.now - s.Due)
	} else {
		r.Stats.Between.Record(r.now - s.lastToken)
	}
	s.tokens++
	s.lastToken = r.now
	r.Stats.Tokens++
	return nil
}

// endFinite counts how a finite stream, or the request for it, ended.
func (r *Reader) endFinite(s *Session, kind string, now int64) {
	switch {
	case !s.open:
		r.Stats.Refused++
		r.Stats.Fail(kind)
	case kind == KindDone, kind == KindClosed && r.env.Finite.Marker == "":
		r.Stats.Completed++
		r.Stats.Whole.Record(now - s.Due)
	default:
		r.Stats.Truncated++
		if kind == KindClosed {
			kind += " before the end marker"
		}
		r.Stats.Fail(kind)
	}
}
