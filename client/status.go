package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spatehub/spate/client/internal/message"
	"github.com/spatehub/spate/client/internal/mimetype"
)

// StatusError is the error of a response with another status than 200.
type StatusError struct {
	Code int // such as 401
	// RetryAfter is the time for which the server has asked to be left alone, 0
	// if it has not. Only a 429 or 503 is asked for it.
	RetryAfter time.Duration
	// Message is the server's own, on one line, from a body of text or JSON
	// (application/problem+json among it); "" if it has none.
	Message string
	Header  http.Header
	Body    []byte // its beginning, 8 KiB at most
}

// Error names the status and tells the server's message.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("the server answered %d %s", e.Code, http.StatusText(e.Code))
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Temporary reports whether the client tries again after this status: 408, 425,
// 429 and everything from 500. The rest would only be answered the same way, or
// asks clients not to come back, as 204 does.
func (e *StatusError) Temporary() bool {
	switch e.Code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Code >= 500
}

// Bounds of reading the body of an error.
const (
	maxErrorBody = 8 << 10
	maxErrorWait = 5 * time.Second
)

// newStatusError reads what an error's response says from body, and closes it.
func newStatusError(resp *http.Response, body io.ReadCloser) *StatusError {
	text, said := readError(resp, body)
	return &StatusError{Code: resp.StatusCode, RetryAfter: retryAfter(resp), Message: said, Header: resp.Header, Body: text}
}

// readError reads the beginning of the body of an error, and the message in it.
func readError(resp *http.Response, body io.ReadCloser) (text []byte, said string) {
	late := time.AfterFunc(maxErrorWait, func() { _ = body.Close() })
	defer late.Stop()
	text, _ = io.ReadAll(io.LimitReader(body, maxErrorBody)) // what there is of it
	_ = body.Close()
	return text, message.Of(mimetype.Essence(resp.Header.Values("Content-Type")), text)
}

// ContentTypeError is the error of a response of status 200 that is no event
// stream; it is [ErrContentType] too. Some servers answer so where something is
// wrong, and others where an answer is short: Body has it.
type ContentTypeError struct {
	ContentType string // as it came
	Message     string // as in a StatusError
	Header      http.Header
	Body        []byte // its beginning, 8 KiB at most
}

// Error names the type and tells the server's message.
func (e *ContentTypeError) Error() string {
	text := fmt.Sprintf("%v but %.100q", ErrContentType, e.ContentType)
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Is reports whether target is ErrContentType.
func (e *ContentTypeError) Is(target error) bool { return target == ErrContentType }

// maxRetryAfter bounds what a Retry-After may ask for.
const maxRetryAfter = time.Hour

// retryAfter reads a Retry-After: seconds or a date, which is compared with the
// server's own clock where the response shows it.
func retryAfter(resp *http.Response) time.Duration {
	value := resp.Header.Get("Retry-After")
	if value == "" || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	seconds, err := strconv.ParseUint(value, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) { // then it is the largest there is
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(date.Sub(now), 0), maxRetryAfter)
}
