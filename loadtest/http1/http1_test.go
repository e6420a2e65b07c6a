package http1_test

import (
	"bytes"
	"io"
	"net/http/httputil"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/http1"
)

func TestParseHead(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\nTRANSFER-ENCODING: chunked\r\nX: y:z\r\n\r\n"
	h, n, err := http1.ParseHead([]byte(head + "body"))
	require.NoError(t, err)
	require.Equal(t, len(head), n)
	require.Equal(t, http1.Head{Status: 200, Chunked: true, Length: -1, KeepAlive: true, ContentType: http1.EventStream}, h)
	for i := range len(head) {
		_, n, err := http1.ParseHead([]byte(head[:i]))
		require.NoError(t, err)
		require.Zero(t, n, "an incomplete head is not taken")
	}

	h, _, err = http1.ParseHead([]byte("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 12\r\nConnection: close\r\nContent-Encoding: gzip\r\n\r\n"))
	require.NoError(t, err)
	require.Equal(t, http1.Head{Status: 302, Length: 12, Location: "/login", Encoding: "gzip"}, h)
	require.True(t, h.HasBody())
	h, _, err = http1.ParseHead([]byte("HTTP/1.0 204 No Content\r\n\r\n"))
	require.NoError(t, err)
	require.False(t, h.HasBody())
}

func TestHeadsThatAreNone(t *testing.T) {
	for _, b := range []string{
		"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nnothing\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nX: " + string(make([]byte, http1.MaxHead)),
	} {
		_, _, err := http1.ParseHead([]byte(b))
		require.ErrorIs(t, err, http1.ErrMalformed, "%.30q", b)
	}
	_, _, err := http1.ParseHead([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"))
	require.ErrorContains(t, err, "not supported")
}

// decode feeds body in pieces of the given size and joins what comes out.
func decode(body []byte, piece int) ([]byte, bool, error) {
	var c http1.Chunked
	var out []byte
	for len(body) > 0 {
		p := body[:min(piece, len(body))]
		body = body[len(p):]
		for {
			data, rest, err := c.Next(p)
			if err != nil {
				return out, false, err
			}
			if len(data) == 0 {
				break
			}
			out = append(out, data...)
			p = rest
		}
	}
	return out, c.Ended(), nil
}

// However the bytes are cut, the body is the same.
func TestChunkedBodyInAnyPieces(t *testing.T) {
	body := []byte("5\r\nhello\r\n1;ext=\"a b\"\r\n \r\n00A \r\n0123456789\r\nfF\r\n" + string(bytes.Repeat([]byte("z"), 255)) + "\r\n0\r\nTrailer: x\r\n\r\n")
	want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(body)))
	require.NoError(t, err)
	for piece := 1; piece <= len(body); piece++ {
		got, ended, err := decode(body, piece)
		require.NoError(t, err)
		require.True(t, ended)
		require.Equal(t, string(want), string(got), "in pieces of %d", piece)
	}
}

func TestBrokenChunks(t *testing.T) {
	for _, b := range []string{"x", "\r\n", "5\nhello", "5\r\nhelloX", "5\r\nhello\rX", "0\r\n\rX", "5\rX", "1111111111111111\r\n"} {
		_, _, err := decode([]byte(b), 1)
		require.ErrorIs(t, err, http1.ErrMalformed, "%q", b)
	}
}

func FuzzChunked(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), 3)
	f.Fuzz(func(t *testing.T, body []byte, piece int) {
		if piece < 1 || len(body) > 4<<10 {
			return
		}
		whole, endedWhole, errWhole := decode(body, len(body)+1)
		parts, endedParts, errParts := decode(body, piece)
		if !bytes.Equal(whole, parts) || endedWhole != endedParts || (errWhole == nil) != (errParts == nil) {
			t.Fatalf("%q in pieces of %d: %q %v %v, whole: %q %v %v", body, piece, parts, endedParts, errParts, whole, endedWhole, errWhole)
		}
		if endedWhole {
			std, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(body)))
			if err == nil && !bytes.Equal(std, whole) {
				t.Fatalf("%q: %q, net/http: %q", body, whole, std)
			}
		}
	})
}
