package main

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/internal/testcert"
	"github.com/spatehub/spate/serve/tlsfile"
	"github.com/spatehub/spate/wire"
)

func generated[T any](key T, err error) T {
	if err != nil {
		panic(err)
	}
	return key
}

func publicPEM(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// A corpus of tokens that are none, against the hub as it is started: each is answered by 401 on streams, pushes and
// what needs an administrator, and says nothing of why to who never had a good one.
func TestForgedJWTs(t *testing.T) {
	key, other := generated(rsa.GenerateKey(rand.Reader, 2048)), generated(rsa.GenerateKey(rand.Reader, 2048))
	public := publicPEM(t, key)
	s := startServe(t, "--memory", "--jwt-key-file", written(t, "key.pem", public), "--jwt-issuer", "https://id.example", "--jwt-audience", "hub")
	good := func() jwt.MapClaims {
		return jwt.MapClaims{"sub": "tom", "iss": "https://id.example", "aud": "hub", "exp": time.Now().Add(time.Hour).Unix(),
			"spate": map[string]any{"admin": true, "read": []string{">"}, "push": map[string]any{"everyone": true}}}
	}
	sign := func(method jwt.SigningMethod, key any, c jwt.MapClaims, header ...string) string {
		token := jwt.NewWithClaims(method, c)
		for i := 0; i+1 < len(header); i += 2 {
			token.Header[header[i]] = header[i+1]
		}
		text, err := token.SignedString(key)
		require.NoError(t, err)
		return text
	}
	with := func(name string, value any) jwt.MapClaims {
		c := good()
		if c[name] = value; value == nil {
			delete(c, name)
		}
		return c
	}
	b64 := base64.RawURLEncoding.EncodeToString
	payload := generated(json.Marshal(good()))
	hs := func(header string, secret []byte) string {
		text := b64([]byte(header)) + "." + b64(payload)
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(text))
		return text + "." + b64(mac.Sum(nil))
	}
	many := good()
	for i := range 300 {
		many[fmt.Sprintf("c%d", i)] = 1
	}
	valid := sign(jwt.SigningMethodRS256, key, good())
	parts := strings.Split(valid, ".")
	owned := jwt.NewWithClaims(jwt.SigningMethodRS256, good())
	owned.Header["jwk"] = map[string]string{"kty": "RSA", "e": "AQAB", "n": b64(other.N.Bytes())}
	brought := generated(owned.SignedString(other))
	for name, token := range map[string]string{
		"none":                       sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good()),
		"None":                       b64([]byte(`{"alg":"None"}`)) + "." + b64(payload) + ".",
		"no signature":               parts[0] + "." + parts[1] + ".",
		"the public key as a secret": hs(`{"alg":"HS256","typ":"JWT"}`, []byte(public)),
		"... without its last line":  hs(`{"alg":"HS256","typ":"JWT"}`, []byte(strings.TrimSpace(public))),
		"an empty secret":            hs(`{"alg":"HS256","typ":"JWT","kid":"../../../dev/null"}`, nil),
		"another's key":              sign(jwt.SigningMethodRS256, other, good()),
		"a key that it brings":       brought,
		"a key that it points to":    sign(jwt.SigningMethodRS256, other, good(), "jku", "https://evil.example/keys", "x5u", "https://evil.example/cert"),
		"a kid that is a path":       sign(jwt.SigningMethodRS256, other, good(), "kid", "../../etc/passwd"),
		"a kid that is SQL":          sign(jwt.SigningMethodRS256, other, good(), "kid", "' OR 1=1 --"),
		"another curve":              sign(jwt.SigningMethodES256, generated(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), good()),
		"another type":               sign(jwt.SigningMethodRS256, key, good(), "typ", "secevent+jwt"),
		"critical extensions":        sign(jwt.SigningMethodRS256, key, good(), "crit", "x"),
		"expired":                    sign(jwt.SigningMethodRS256, key, with("exp", time.Now().Add(-time.Second).Unix())),
		"no expiry":                  sign(jwt.SigningMethodRS256, key, with("exp", nil)),
		"not valid yet":              sign(jwt.SigningMethodRS256, key, with("nbf", time.Now().Add(time.Hour).Unix())),
		"another issuer":             sign(jwt.SigningMethodRS256, key, with("iss", "https://id.example.evil")),
		"another audience":           sign(jwt.SigningMethodRS256, key, with("aud", "hub2")),
		"a right that nobody knows":  sign(jwt.SigningMethodRS256, key, with("spate", map[string]any{"Admin": true})),
		"a user that is none":        sign(jwt.SigningMethodRS256, key, with("sub", strings.Repeat("a", 1000))),
		"too many claims":            sign(jwt.SigningMethodRS256, key, many),
		"too large":                  sign(jwt.SigningMethodRS256, key, with("x", strings.Repeat("x", 9000))),
		"padding":                    parts[0] + "." + parts[1] + "." + parts[2] + "==",
		"another last bit":           parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-1] + flipped(parts[2][len(parts[2])-1]),
		"four parts":                 valid + ".x",
		"a space in it":              parts[0] + " ." + parts[1] + "." + parts[2],
		"nothing but dots":           "..",
	} {
		for _, way := range [][2]string{{"GET", "/stats"}, {"POST", "/push"}, {"POST", "/tickets"}, {"HEAD", "/events?topic=a"}} {
			status, text := s.do(way[0], way[1], `{"events":[{"data":"x"}]}`, "Content-Type", asJSON, "Authorization", "Bearer "+token)
			require.Equal(t, 401, status, "%s %s: %s", name, way[1], text)
		}
	}
	status, text := s.get("/stats", as(valid)...)
	require.Equal(t, 200, status, text)
	status, text = s.get("/stats", as(brought)...)
	require.Equal(t, 401, status)
	require.Contains(t, text, `"detail":"the credentials are not valid"`, "no more is told")
}

// flipped is a base64url digit that differs in its last bit, which the strict form of a signature's end has as 0.
func flipped(c byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(digits[strings.IndexByte(digits, c)^1])
}

// A key server that hangs holds up nobody whose key is known, and others for a bounded time; it is asked once, however
// many tokens come.
func TestAKeyServerThatHangs(t *testing.T) {
	key := generated(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	raw, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	b64 := base64.RawURLEncoding.EncodeToString
	var asked atomic.Int32
	hang := make(chan struct{})
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
			return
		}
		fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","alg":"ES256","use":"sig","x":%q,"y":%q}]}`, b64(raw[1:33]), b64(raw[33:]))
	}))
	defer keys.Close()
	defer close(hang)
	s := startServe(t, "--memory", "--jwt-jwks-url", keys.URL)
	token := func(kid string) string {
		token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": "tom", "exp": time.Now().Add(time.Hour).Unix(), "spate": json.RawMessage(`{"admin":true}`)})
		token.Header["kid"] = kid
		return generated(token.SignedString(key))
	}
	status, text := s.get("/stats", as(token("k1"))...)
	require.Equal(t, 200, status, text)
	s.hangups <- nil // fetches them again, and hangs
	require.Eventually(t, func() bool { return asked.Load() == 2 }, patience, time.Millisecond)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			status, _ := s.get("/stats", as(token("k2"))...)
			assert.Contains(t, []int{401, 503}, status)
		})
	}
	for range 20 {
		status, text = s.get("/stats", as(token("k1"))...)
		require.Equal(t, 200, status, text)
	}
	wg.Wait()
	require.EqualValues(t, 2, asked.Load())
}

// (Invariant 5.) A storm of connects beyond the bound is answered by 503 with Retry-After; those that were accepted get
// every event, in order.
func TestAStormLeavesTheAcceptedUndisturbed(t *testing.T) {
	const open, storm, pushed = 100, 3000, 50
	s := startServe(t, "--memory", "--max-connections", fmt.Sprint(open))
	addr := strings.TrimPrefix(s.base, "http://")
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make([]atomic.Int32, open)
	for i := range open {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/events", nil)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.Equal(t, 200, res.StatusCode)
		wg.Go(func() {
			defer res.Body.Close()
			d := wire.NewDecoder(res.Body)
			for {
				e, err := d.Next()
				if err != nil {
					return
				}
				if e.Data == fmt.Sprint(got[i].Load()) {
					got[i].Add(1)
				}
			}
		})
	}
	var refused atomic.Int32
	var stormers sync.WaitGroup
	for range 30 {
		stormers.Go(func() {
			for range storm / 30 {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					continue
				}
				_, _ = fmt.Fprintf(conn, "GET /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
				text, _ := io.ReadAll(conn)
				conn.Close()
				if strings.HasPrefix(string(text), "HTTP/1.1 503") && strings.Contains(string(text), "\r\nRetry-After: ") {
					refused.Add(1)
				}
			}
		})
	}
	for i := range pushed {
		status, text := s.do("POST", "/push", fmt.Sprintf(`{"events":[{"data":"%d"}]}`, i), "Content-Type", asJSON)
		require.Equal(t, 200, status, text)
	}
	stormers.Wait()
	require.EqualValues(t, storm, refused.Load())
	for i := range got {
		require.Eventually(t, func() bool { return got[i].Load() == pushed }, patience, time.Millisecond, "stream %d got %d", i, got[i].Load())
	}
}

// listening serves like `spate serve`, with short time-outs, and returns the address.
func listening(t *testing.T, certs *tlsfile.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listenOn(t, l, certs)
	return l.Addr().String()
}

func listenOn(t *testing.T, l net.Listener, certs *tlsfile.Config) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	hub := engine.NewHub(engine.WithLogger(log))
	t.Cleanup(hub.Close)
	c := &serveConfig{memory: true, stall: 100 * time.Millisecond}
	c.tls.unencryptedTwo = certs == nil
	c.tls.cert = map[bool]string{true: "x"}[certs != nil]
	server := newServer(c, hub, newAccess(c, log), &statsSource{hub: hub}, parts{drain: newDrainer(t.Context(), drainConfig{}, hub, io.Discard)}, log)
	server.Protocols = c.protocols()
	server.ReadHeaderTimeout, server.ReadTimeout, server.IdleTimeout = 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
	require.NotZero(t, server.WriteTimeout)
	server.WriteTimeout = 100 * time.Millisecond
	done := make(chan error, 1)
	go func() { done <- serveOn(server, l, certs) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		<-done
	})
}

// (Invariant 5.) Who sends a head slowly, too much of one, nothing at all, or half a handshake, is hung up on, and others
// are served meanwhile.
func TestSlowAndFloodingPeersAreHungUpOn(t *testing.T) {
	files := newCertFiles(t, testcert.NewCA(t, "ca"))
	certs, err := tlsfile.Load(tlsfile.Files{Cert: files.cert, Key: files.key})
	require.NoError(t, err)
	plain, secured := listening(t, nil), listening(t, certs)
	dial := func(addr string) net.Conn {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		return c
	}
	ended := func(c net.Conn, name string) string {
		text, err := io.ReadAll(c)
		if err != nil {
			require.ErrorContains(t, err, "reset", name)
		}
		return string(text)
	}
	slow := make([]net.Conn, 50)
	for i := range slow {
		slow[i] = dial(plain)
		_, err := io.WriteString(slow[i], "GET /events HTTP/1.1\r\nHost: localhost\r\nX-")
		require.NoError(t, err)
	}
	silent, half := dial(plain), dial(secured)
	_, err = half.Write([]byte{22, 3, 1, 2, 0, 1}) // of a record with a ClientHello
	require.NoError(t, err)
	well := dial(plain)
	_, err = io.WriteString(well, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(well).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "200")
	for _, c := range slow {
		ended(c, "slowloris")
	}
	ended(silent, "silence")
	ended(half, "half a handshake")
	for name, one := range map[string]string{"one header": "X: " + strings.Repeat("x", 1<<20) + "\r\n", "many headers": strings.Repeat("X: y\r\n", 200_000), "a name": strings.Repeat("x", 1<<20)} {
		c := dial(plain)
		go func() { // the hub reads no more of it than it should
			_, _ = io.WriteString(c, "GET /events HTTP/1.1\r\nHost: localhost\r\n"+one)
		}()
		require.NotContains(t, ended(c, name), "HTTP/1.1 200", name)
	}
}

// pipes is a listener for connections without buffers.
type pipes struct {
	net.Listener // whose address it has
	conns        chan net.Conn
	closed       chan struct{}
	once         sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return p.Listener.Close()
}

// toldConn tells that it was closed.
type toldConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *toldConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// (Invariant 5.) A peer that asks for something and takes no byte of the answer is hung up on, without a credential too:
// over HTTP/1.1, and over HTTP/2, where it holds up the whole connection.
func TestPeersThatTakeNoAnswerAreHungUpOn(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &pipes{Listener: inner, conns: make(chan net.Conn), closed: make(chan struct{})}
	listenOn(t, l, nil)
	for name, request := range map[string]string{"HTTP/1.1": "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/2": http2.ClientPreface} {
		ours, theirs := net.Pipe()
		defer ours.Close()
		conn := &toldConn{Conn: theirs, closed: make(chan struct{})}
		l.conns <- conn
		require.NoError(t, ours.SetDeadline(time.Now().Add(patience)))
		_, err := io.WriteString(ours, request)
		require.NoError(t, err, name)
		select {
		case <-conn.closed:
		case <-time.After(patience):
			require.Fail(t, "it may hold its connection for ever", name)
		}
	}
}

// Requests that a proxy and the hub could see to end at different places are refused, or are the last ones of their
// connection: what follows in it is not answered.
func TestNothingIsSmuggledBehindARequest(t *testing.T) {
	s := startServe(t, "--memory")
	const hidden = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for name, request := range map[string]string{
		"a length and chunks":                    "POST /push HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunks and a length":                    "POST /push HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
		"chunks of HTTP/1.0":                     "POST /push HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
		"chunks of HTTP/1.0 to a host of no use": "POST /push HTTP/1.0\r\nHost: example.com\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
		"two lengths":                            "POST /push HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 4\r\n\r\n",
		"a list of lengths":                      "POST /push HTTP/1.1\r\nContent-Length: 0, 4\r\n\r\n",
		"a length with a sign":                   "POST /push HTTP/1.1\r\nContent-Length: +0\r\n\r\n",
		"another encoding":                       "POST /push HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
		"encodings in a list":                    "POST /push HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
		"two encodings":                          "POST /push HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
		"a space before the colon":               "POST /push HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n",
		"a line feed within":                     "POST /push HTTP/1.1\r\nX: a\nContent-Length: 0\r\nContent-Length: 4\r\n\r\n",
		"a carriage return within":               "POST /push HTTP/1.1\r\nX: a\rTransfer-Encoding: chunked\r\n\r\n",
		"a chunk of a size that is none":         "POST /push HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
		"a stream with a length and chunks":      "GET /audience HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a switch to a web socket":               "GET /stats?x HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.base, "http://"))
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		if !strings.Contains(request, "\r\nHost:") {
			request = strings.Replace(request, "\r\n", "\r\nHost: localhost\r\n", 1)
		}
		_, err = io.WriteString(conn, request+hidden)
		require.NoError(t, err, name)
		text, err := io.ReadAll(conn)
		if err != nil {
			require.ErrorContains(t, err, "reset", name)
		}
		conn.Close()
		require.LessOrEqual(t, strings.Count(string(text), "HTTP/1."), 1, "%s: %s", name, text)
		require.NotContains(t, string(text), `"ok"`, name)
	}
}

// (Invariant 5.) One address cannot take all connections by asking for nothing: beyond its bound it is hung up on, others
// are not. A stream too many is told 429 all the same.
func TestOneAddressCannotHoldAllConnections(t *testing.T) {
	s := startServe(t, "--memory", "--max-connections-address", "1")
	addr := strings.TrimPrefix(s.base, "http://")
	dial := func(from string) net.Conn {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		return c
	}
	stream := dial("127.0.0.1")
	_, err := io.WriteString(stream, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(stream).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "200")
	var idle []net.Conn
	for range 101 {
		idle = append(idle, dial("127.0.0.1"))
	}
	text, err := io.ReadAll(dial("127.0.0.1"))
	if err != nil {
		require.ErrorContains(t, err, "reset")
	}
	require.Empty(t, text, "hung up on")
	ask := func(c net.Conn) string {
		_, err := io.WriteString(c, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		line, err := bufio.NewReader(c).ReadString('\n')
		require.NoError(t, err)
		return line
	}
	require.Contains(t, ask(idle[100]), "429")
	if runtime.GOOS == "linux" { // where all of 127.0.0.0/8 is this machine's
		require.Contains(t, ask(dial("127.0.0.2")), "200")
	}
}
