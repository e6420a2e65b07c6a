package stream_test

import (
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/compress"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// decodedBody decodes a body as it comes.
type decodedBody struct {
	io.Reader
	io.Closer
}

// decoding returns a coded body as its client reads it.
func decoding(t *testing.T, coding string, body io.ReadCloser) io.ReadCloser {
	t.Helper()
	if coding == "gzip" {
		in := &endNoting{Reader: body}
		r, err := gzip.NewReader(in)
		require.NoError(t, err)
		return decodedBody{withoutTrailer{r, in}, body}
	}
	r, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1))
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return decodedBody{r, body}
}

// endNoting notes the orderly end of a body.
type endNoting struct {
	io.Reader
	ended bool
}

func (e *endNoting) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	e.ended = e.ended || err == io.EOF
	return n, err
}

// withoutTrailer takes the end of the body for the end of a stream of gzip, which has
// no trailer.
type withoutTrailer struct {
	r  io.Reader
	in *endNoting
}

func (w withoutTrailer) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) && w.in.ended {
		err = io.EOF
	}
	return n, err
}

func codedHub(t *testing.T) *engine.Hub {
	hub := engine.NewHub(engine.WithLogger(silent), engine.WithEncodings(new(compress.Zstd), new(compress.Gzip)))
	t.Cleanup(hub.Close)
	return hub
}

// head asks for the head of a stream.
func head(h http.Handler, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodHead, "/events", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestEncodingIsNegotiated(t *testing.T) {
	handler := stream.Handler(codedHub(t), nil)
	for accept, want := range map[string]string{
		"": "", "gzip": "gzip", "zstd": "zstd", "GZIP": "gzip", "x-gzip": "gzip", "br": "", "*": "zstd",
		"gzip, deflate, br, zstd":         "zstd", // as browsers do: the hub's order
		"gzip, zstd;q=0.5":                "gzip",
		"gzip;q=0.001":                    "gzip",
		"gzip;q=0":                        "",
		"zstd;q=0, *":                     "gzip",
		"*;q=0.5, zstd;q=0.4":             "gzip",
		"gzip;q=0.5, identity":            "",
		"gzip;q=0.5, identity;q=0.5":      "gzip",
		"identity;q=0, gzip":              "gzip",
		"gzip;q=2, zstd;q=x":              "", // makes no sense
		"gzip;q=NaN, zstd;q=1e-9":         "",
		"gzip;q=0.5;level=1":              "",
		";q=1, , =":                       "",
		" gzip ; q=1.000 ,":               "gzip",
		"gzip;q=0, gzip":                  "",
		"identity;q=0, *;q=0, zstd;q=0.1": "zstd",
	} {
		w := head(handler, "Accept-Encoding", accept)
		require.Equal(t, http.StatusOK, w.Code, accept)
		require.Equal(t, want, w.Header().Get("Content-Encoding"), "%q", accept)
		require.Equal(t, []string{"Accept-Encoding"}, w.Header()["Vary"], accept)
		require.Contains(t, w.Header().Get("Cache-Control"), "no-transform")
	}
	for _, accept := range []string{"identity;q=0", "*;q=0", "br, identity;q=0", "gzip;q=0, zstd;q=0, identity;q=0, *"} {
		w := head(handler, "Accept-Encoding", accept)
		require.Equal(t, http.StatusNotAcceptable, w.Code, accept)
		require.Contains(t, w.Header().Get("Content-Type"), "problem+json")
	}
	twice := head(handler, "Accept-Encoding", "br", "Accept-Encoding", "gzip")
	require.Equal(t, "gzip", twice.Header().Get("Content-Encoding"))
	asIs := head(handler, "Accept-Encoding", "gzip", "Cache-Control", "max-age=0, No-Transform")
	require.Empty(t, asIs.Header().Get("Content-Encoding"))
	require.Equal(t, "Accept-Encoding", asIs.Header().Get("Vary"))
}

// Without encodings, or where a handler does without, all is as ever, whatever the
// client says.
func TestNothingIsCodedUnasked(t *testing.T) {
	plain := engine.NewHub(engine.WithLogger(silent))
	defer plain.Close()
	for _, h := range []http.Handler{stream.Handler(plain, nil), stream.Handler(codedHub(t), nil, stream.WithoutEncoding())} {
		for _, accept := range []string{"gzip", "identity;q=0"} {
			w := head(h, "Accept-Encoding", accept)
			require.Equal(t, http.StatusOK, w.Code)
			require.Empty(t, w.Header().Get("Content-Encoding"))
			require.Empty(t, w.Header().Get("Vary"))
		}
	}
}

// What middleware says of the coding, and of what the answer varies by, is kept.
func TestEncodingBesideMiddleware(t *testing.T) {
	inner := stream.Handler(codedHub(t), nil)
	coder := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		inner.ServeHTTP(w, r)
	})
	require.Equal(t, []string{"br"}, head(coder, "Accept-Encoding", "br, gzip").Header()["Content-Encoding"])
	cors := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Origin")
		inner.ServeHTTP(w, r)
	})
	require.Equal(t, []string{"Origin", "Accept-Encoding"}, head(cors, "Accept-Encoding", "gzip").Header()["Vary"])
}

// Middleware that puts its own coding in the place of ours, when the head is written,
// gets events that are not coded.
func TestEncodingThatMiddlewareReplaces(t *testing.T) {
	for _, m := range []mode{modes[0], {name: "portable", portable: true}} {
		with := setup{
			hub: []engine.HubOption{engine.WithEncodings(new(compress.Gzip))},
			around: func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(&recoder{w}, r) })
			},
		}
		s := newSite(t, m, with)
		st := s.open("", "Accept-Encoding", "gzip")
		require.Equal(t, "rot0", st.resp.Header.Get("Content-Encoding"))
		s.push("", "as it is")
		st.expect("as it is")
	}
}

type recoder struct{ http.ResponseWriter }

func (r *recoder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recoder) WriteHeader(code int) {
	r.Header().Set("Content-Encoding", "rot0")
	r.ResponseWriter.WriteHeader(code)
}

func FuzzAcceptEncoding(f *testing.F) {
	f.Add("gzip, zstd;q=0.5")
	f.Add("*;q=0, identity;q=0.001")
	hub := engine.NewHub(engine.WithLogger(silent), engine.WithEncodings(new(compress.Zstd), new(compress.Gzip)))
	f.Cleanup(hub.Close)
	handler := stream.Handler(hub, nil)
	f.Fuzz(func(t *testing.T, accept string) {
		w := head(handler, "Accept-Encoding", accept)
		coding := w.Header().Get("Content-Encoding")
		switch w.Code {
		case http.StatusOK:
			require.Contains(t, []string{"", "zstd", "gzip"}, coding)
		case http.StatusNotAcceptable:
			require.Empty(t, coding)
		default:
			require.Fail(t, "status", "%d", w.Code)
		}
	})
}

// Each event comes when it is pushed, not when there are more, or the stream ends: in
// every mode, of any size.
func TestCodedEventsComeOneByOne(t *testing.T) {
	each(t, setup{}, func(t *testing.T, s *site) {
		st := s.open("")
		for n := range 12 {
			data := make([]byte, 1<<n)
			for i := range data {
				data[i] = "{\"key\": \"value\"}"[i%16]
			}
			s.push("", string(data))
			require.Equal(t, string(data), st.next().Data)
		}
		require.NoError(t, s.hub.Push(nil, &wire.Event{Data: "last"}))
		st.expect("last")
	})
}

// noise returns text that is hardly shorter when it is coded.
func noise(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + rand.IntN('z'-'0'))
	}
	return string(b)
}
