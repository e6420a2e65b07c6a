package stream

import (
	"io"
	"net/http"
	"time"
)

// This file lets an answer reach who sends all of a body before it reads, also where it
// was known before the body had come. net/http reads on in 256 KiB of a body over
// HTTP/1 and closes the connection on the rest, so that such a client learns of a
// broken pipe and of nothing else; over HTTP/2 it resets the stream, for which some
// clients (curl 7.88) throw away the answer that came before it.

// maxRest bounds what is read of a body that nobody wants. Who says that there is more
// is answered at once, and hung up on.
const maxRest = 64 << 20

// ReadRest returns next. What its answers leave of the request's body is read and thrown
// away, before they go out over HTTP/1, and behind them over HTTP/2: up to 64 MiB, for up
// to 30 s from the beginning of the request. It is not read behind an answer that says
// Retry-After, for which all has to be sent again, nor behind a stream. [PushHandler]
// does so itself.
func ReadRest(next http.Handler) http.Handler { return readRest(next, defaultPushBodyTimeout) }

func readRest(next http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody || r.ContentLength > maxRest || r.Header.Get("Expect") != "" { // who waits for a word reads it
			next.ServeHTTP(w, r)
			return
		}
		deadline := time.Now().Add(bodyTime(r, limit))
		body := &watchedBody{ReadCloser: r.Body}
		r.Body = body
		next.ServeHTTP(w, r)
		if h := w.Header(); body.ended || h.Get("Retry-After") != "" || h.Get("Content-Type") == streamType {
			return
		}
		rc := http.NewResponseController(w)
		if rc.SetReadDeadline(deadline) != nil || r.ProtoMajor == 2 && rc.Flush() != nil {
			return
		}
		_, _ = io.CopyN(io.Discard, body, maxRest) // net/http sees to what is left, and to connections that break
	})
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
