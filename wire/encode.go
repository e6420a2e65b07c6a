package wire

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	idPrefix    = "id: "
	eventPrefix = "event: "
	retryPrefix = "retry: "
	dataPrefix  = "data: "
)

// AppendEvent appends the frame of e to dst: [Event.ID] (no line when empty),
// then what [AppendBody] writes. Errors and allocation are those of AppendBody.
func AppendEvent(dst []byte, e *Event) ([]byte, error) {
	if err := e.validateFields(); err != nil {
		return dst, err
	}
	if e.ID == "" {
		return appendBody(dst, e, math.MaxInt)
	}
	head := len(dst)
	dst = append(dst, idPrefix...)
	dst = append(dst, e.ID...)
	dst = append(dst, '\n')
	dst, err := appendBody(dst, e, math.MaxInt)
	if err != nil {
		return dst[:head], err
	}
	return dst, nil
}

// AppendBody appends the frame of e without its ID: the event, retry and data
// lines and the blank line that ends the event.
//
// An event that can't be sent is refused with a [*FieldError], and dst comes
// back with the length it had. Nothing is allocated but what dst needs to grow,
// and what encoding/json needs for data that is not string, []byte or
// [json.RawMessage]. Encoding/json replaces invalid UTF-8 inside of Go strings
// by U+FFFD; anywhere else invalid UTF-8 is refused.
func AppendBody(dst []byte, e *Event) ([]byte, error) {
	return AppendBodyMax(dst, e, math.MaxInt)
}

// AppendBodyMax is AppendBody that refuses data of more than most bytes, line
// ends as they were pushed, by a [*FieldError] that wraps [ErrDataTooLarge]. What
// it appends is at most [MaxFrameLen] of most.
func AppendBodyMax(dst []byte, e *Event, most int) ([]byte, error) {
	if err := e.validateFields(); err != nil {
		return dst, err
	}
	return appendBody(dst, e, most)
}

// appendBody is AppendBodyMax for an event whose fields other than data are valid.
func appendBody(dst []byte, e *Event, most int) ([]byte, error) {
	head := len(dst)
	if e.Event != "" {
		dst = append(dst, eventPrefix...)
		dst = append(dst, e.Event...)
		dst = append(dst, '\n')
	}
	if e.Retry > 0 {
		dst = appendRetryLine(dst, e.Retry)
	}
	dst = append(dst, dataPrefix...)
	start := len(dst)

	// The payload goes in whole first and is looked at where it then lies: one
	// code path for every type, over bytes that are in the cache.
	dst, err := AppendData(dst, e.Data)
	if err != nil {
		return dst[:head], err
	}
	payload := dst[start:]
	if len(payload) > most {
		return dst[:head], errDataSize(len(payload), most)
	}
	if !utf8.Valid(payload) {
		return dst[:head], errDataUTF8()
	}
	if bytes.IndexByte(payload, '\n') >= 0 || bytes.IndexByte(payload, '\r') >= 0 {
		dst = splitLines(dst, start)
	}
	return append(dst, "\n\n"...), nil
}

// AppendData appends an event's data as it goes out, before it is split into lines.
// Data that has no such form is refused with a [*FieldError], and dst comes back with
// the length it had. Whether it is UTF-8 is not looked at.
func AppendData(dst []byte, data any) ([]byte, error) {
	switch data := data.(type) {
	case nil:
		return dst, errNilData()
	case string:
		return append(dst, data...), nil
	case []byte:
		return append(dst, data...), nil
	case json.RawMessage:
		return append(dst, data...), nil
	}
	head := len(dst)
	dst, err := appendJSON(dst, data)
	if err != nil {
		return dst[:head], &FieldError{Field: "data", Reason: "has no JSON form: " + err.Error(), Err: err}
	}
	return dst, nil
}

// splitLines rewrites dst[start:], which follows a data prefix, so that each
// line of it has one: every LF, CR and CRLF becomes a line feed and the prefix.
func splitLines(dst []byte, start int) []byte {
	const lineBreak = "\n" + dataPrefix
	size := len(dst) - start
	breaks := bytes.Count(dst[start:], []byte{'\n'}) + bytes.Count(dst[start:], []byte{'\r'})

	// Move the payload back by what the breaks will add at most, and write the
	// lines from the front: the writer gains len(lineBreak)-1 bytes a break, so it
	// meets the reader at the end at the earliest and never overtakes it.
	gap := breaks * (len(lineBreak) - 1)
	dst = growBy(dst, gap)
	copy(dst[start+gap:], dst[start:start+size])
	src := dst[start+gap:]
	w := start
	lf, cr := -1, -1 // the next of each at or after r, len(src) if there is none
	for r := 0; ; {
		if lf < r {
			lf = indexFrom(src, r, '\n')
		}
		if cr < r {
			cr = indexFrom(src, r, '\r')
		}
		end := min(lf, cr)
		w += copy(dst[w:], src[r:end])
		if end == len(src) {
			return dst[:w]
		}
		w += copy(dst[w:], lineBreak)
		r = end + 1
		if end == cr && r < len(src) && src[r] == '\n' {
			r++ // CRLF is one break
		}
	}
}

// indexFrom is the index of the first c in b[from:], counted from b's start, or
// len(b) if there is none.
func indexFrom(b []byte, from int, c byte) int {
	if i := bytes.IndexByte(b[from:], c); i >= 0 {
		return from + i
	}
	return len(b)
}

// growBy returns dst longer by n bytes of no particular content.
func growBy(dst []byte, n int) []byte {
	if free := cap(dst) - len(dst); free < n {
		dst = append(dst[:cap(dst)], make([]byte, n-free)...)
		return dst
	}
	return dst[:len(dst)+n]
}

// AppendRetry appends a line that tells the receiver its reconnection time, in
// whole milliseconds (a fraction is rounded up). It ends no event: no blank line
// follows, which some receivers take for an event without data. Negative times
// count as 0.
func AppendRetry(dst []byte, d time.Duration) []byte {
	return appendRetryLine(dst, max(d, 0))
}

func appendRetryLine(dst []byte, d time.Duration) []byte {
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond > 0 {
		ms++
	}
	dst = append(dst, retryPrefix...)
	dst = strconv.AppendInt(dst, ms, 10)
	return append(dst, '\n')
}

// AppendComment appends text as comment lines, one for each of its lines.
// Receivers ignore comments; they keep a connection alive. An empty text makes
// the shortest comment there is, 2 bytes. No blank line follows, as no event
// ends there.
func AppendComment(dst []byte, text string) []byte {
	for {
		n := strings.IndexAny(text, "\r\n")
		line := text
		if n >= 0 {
			line = text[:n]
		}
		dst = append(dst, ':')
		if line != "" {
			dst = append(dst, ' ')
			dst = append(dst, line...)
		}
		dst = append(dst, '\n')
		if n < 0 {
			return dst
		}
		if strings.HasPrefix(text[n:], "\r\n") {
			n++
		}
		text = text[n+1:]
	}
}

// jsonAppender is a JSON encoder without HTML escaping that appends to dst.
type jsonAppender struct {
	dst []byte
	enc *json.Encoder
}

func (a *jsonAppender) Write(p []byte) (int, error) {
	a.dst = append(a.dst, p...)
	return len(p), nil
}

var jsonAppenders = sync.Pool{New: func() any {
	a := new(jsonAppender)
	a.enc = json.NewEncoder(a)
	a.enc.SetEscapeHTML(false)
	return a
}}

// appendJSON appends the JSON form of v. On error dst may have grown.
func appendJSON(dst []byte, v any) ([]byte, error) {
	a := jsonAppenders.Get().(*jsonAppender)
	a.dst = dst
	err := a.enc.Encode(v)
	dst = a.dst
	a.dst = nil
	jsonAppenders.Put(a)
	if err != nil {
		return dst, err
	}
	return dst[:len(dst)-1], nil // without the line feed that Encode adds
}
