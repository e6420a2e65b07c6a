package client_test

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

type flushWriter interface {
	io.WriteCloser
	Flush() error
}

// compressed writes parts through a compressor, flushing each, and stays where it
// does not end.
func compressed(coding string, newWriter func(io.Writer) flushWriter, end bool, parts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Content-Encoding", coding)
		w.(http.Flusher).Flush()
		z := newWriter(w)
		for _, part := range parts {
			_, _ = io.WriteString(z, part)
			_ = z.Flush()
			w.(http.Flusher).Flush()
			time.Sleep(time.Second)
		}
		if end {
			_ = z.Close()
			return
		}
		<-r.Context().Done()
	}
}

var codings = map[string]func(io.Writer) flushWriter{
	"gzip": func(w io.Writer) flushWriter { return gzip.NewWriter(w) },
	"zstd": func(w io.Writer) flushWriter {
		z, err := zstd.NewWriter(w)
		if err != nil {
			panic(err)
		}
		return z
	},
}

// What a compressed stream has flushed is there at once: the clock moves by the
// server's own pauses alone.
func TestCompressedStream(t *testing.T) {
	for coding, newWriter := range codings {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t, compressed(coding, newWriter, false, "id: 1\ndata: a\n\n", ": c\n", "data: b\n\n"))
			c := srv.newClient(t)
			begin := time.Now()
			var at []time.Duration
			c.OnEvent("", func(*wire.Event) { at = append(at, time.Since(begin)) })
			c.OnComment(func(string) { at = append(at, time.Since(begin)) })
			require.NoError(t, c.Connect())
			elapse(time.Minute)
			require.Equal(t, []time.Duration{0, time.Second, 2 * time.Second}, at)
			require.Equal(t, "zstd, gzip", srv.got()[0].header.Get("Accept-Encoding"))
			c.Disconnect()
			<-c.Wait()
			synctest.Wait()
			require.Zero(t, srv.streams())
		})
	}
}

// An end of the compressed stream is an end, a cut in it is a cut.
func TestCompressedStreamEnds(t *testing.T) {
	for coding, newWriter := range codings {
		synctest.Test(t, func(t *testing.T) {
			got, err := collectDo(t.Context(), newServer(t, compressed(coding, newWriter, true, "data: a\n\n")), t)
			require.NoError(t, err)
			require.Equal(t, []string{"message a"}, got)
			cut := compressed(coding, newWriter, false, "data: a\n\n")
			abort := func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
				defer cancel()
				cut(w, r.WithContext(ctx))
			}
			got, err = collectDo(t.Context(), newServer(t, abort), t)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, coding)
			require.Equal(t, []string{"message a"}, got)
			got, err = collectDo(t.Context(), newServer(t, status(200, "Content-Encoding", coding, "Content-Type", "text/event-stream")), t)
			require.NoError(t, err, "an empty body is an empty stream")
			require.Empty(t, got)
		})
	}
}

// A server that compresses as nobody has asked it to is told from one whose events
// are garbage.
func TestUnknownCoding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, status(200, "Content-Type", "text/event-stream", "Content-Encoding", "br"))
		err := srv.newClient(t).Connect()
		require.ErrorIs(t, err, client.ErrContentEncoding)
		require.ErrorContains(t, err, `"br"`)
	})
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, streamAndStay(""))
		require.NoError(t, srv.newClient(t, client.WithCompression(false)).Connect())
		require.Equal(t, "identity", srv.got()[0].header.Get("Accept-Encoding"))
	})
}

// The message of an error is read through its compression.
func TestCompressedError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusForbidden)
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, "not you")
			_ = z.Close()
		})
		require.Equal(t, "not you", wantStatus(t, 403, srv.newClient(t).Connect()).Message)
	})
}
