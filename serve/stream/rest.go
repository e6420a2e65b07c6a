package stream

import (
	"io"
	"net/http"
	"time"
)

// This file lets an answer reach who sends all of a body over HTTP/1 before it reads, also
// where it was known before the body had come. net/http reads on in 256 KiB of a body and
// closes the connection on the rest, so that such a client learns of a broken pipe and of
// nothing else. Over HTTP/2 an answer needs no such thing: clients stop sending when it
// comes, and would be waited for. (Some, curl 7.88 among them, throw the answer away with
// the reset behind it, which tells them to stop.)

const (
	// maxRest bounds what is read of a body that nobody wants. Who says that there is more
	// is answered at once, and hung up on.
	maxRest = 64 << 20

	// restPause is how long nothing may come of it: who waits for an answer is answered.
	restPause = time.Second
)

// ReadRest returns next. What its answers over HTTP/1 leave of the request's body is read
// and thrown away before they go out: up to 64 MiB, for up to 30 s from the beginning of the
// request, and until nothing comes for a second. It is not read where an answer says
// Retry-After, for which all has to be sent again, nor behind a stream. [PushHandler]
// does so itself.
func ReadRest(next http.Handler) http.Handler { return readRest(next, defaultPushBodyTimeout) }

func readRest(next http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 || r.Body == nil || r.Body == http.NoBody || r.ContentLength > maxRest || r.Header.Get("Expect") != "" { // who waits for a word reads it
			next.ServeHTTP(w, r)
			return
		}
		if _, twice := r.Body.(*watchedBody); twice { // who began sees to it
			next.ServeHTTP(w, r)
			return
		}
		deadline := time.Now().Add(bodyTime(r, limit))
		body := &watchedBody{ReadCloser: r.Body}
		r.Body = body
		next.ServeHTTP(w, r)
		if h := w.Header(); !body.ended && h.Get("Retry-After") == "" && h.Get("Content-Type") != streamType {
			body.discard(http.NewResponseController(w), deadline)
		}
		r.Body = body.ReadCloser // net/http looks at it to see whether the connection is good for more
	})
}

// discard reads what is left. net/http sees to what is left of that, and to connections that
// break.
func (b *watchedBody) discard(rc *http.ResponseController, deadline time.Time) {
	part := make([]byte, 32<<10)
	for left := maxRest; left > 0 && !b.ended; {
		until := time.Now().Add(restPause)
		if until.After(deadline) {
			until = deadline
		}
		if rc.SetReadDeadline(until) != nil {
			return
		}
		n, _ := b.Read(part[:min(left, len(part))])
		left -= n
	}
}

// bodyTime is how long a body may take to come: no longer than the server says.
func bodyTime(r *http.Request, limit time.Duration) time.Duration {
	if srv, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && srv.ReadTimeout > 0 {
		return min(limit, srv.ReadTimeout)
	}
	return limit
}

// watchedBody knows whether more may come of it.
type watchedBody struct {
	io.ReadCloser
	ended bool
}

func (b *watchedBody) Read(p []byte) (n int, err error) {
	n, err = b.ReadCloser.Read(p)
	b.ended = b.ended || err != nil
	return n, err
}
