package interop

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestNginxEndsTLS: set up as the documents say, nginx ends TLS for a hub that asks for credentials: without them there is
// nothing, a page of the same origin pushes, a push may be larger than nginx takes by itself, a stream has each event as it
// comes, and the hub knows the client's address.
func TestNginxEndsTLS(t *testing.T) {
	const listens = "443 ssl http2"
	dir, err := os.MkdirTemp(scratch, "tls")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o777))
	const token = "a-token-that-only-this-test-has-0123456789"
	write(t, dir, "tokens.json", fmt.Sprintf(`{"tokens":[{"hash":"sha256:%x","id":"test","read":[">"],"push":{"topics":[">"]},"admin":true}]}`, sha256.Sum256([]byte(token))))
	h := startHub(t, "127.0.0.1:0", t.TempDir(), "--token-file", filepath.Join(dir, "tokens.json"), "--trusted-proxy", "127.0.0.1", "--proxy-header", "X-Forwarded-For")

	cert, key, trusted := writeCertificate(t, dir)
	front := freeAddress(t)
	server := sampleOf(t, "nginx", listens, strings.Replace(listens, "443", front, 1), h.address())
	startNginx(t, dir, strings.NewReplacer("/etc/nginx/hub.pem", cert, "/etc/nginx/hub.key", key).Replace(server))

	// A client of another address than the proxy's.
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	client := &http.Client{Transport: &http.Transport{DialContext: from.DialContext, TLSClientConfig: &tls.Config{RootCAs: trusted}, ForceAttemptHTTP2: true}}
	t.Cleanup(client.CloseIdleConnections)
	do := func(method, path, body string) (*http.Response, error) {
		req, err := http.NewRequest(method, "https://"+front+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Origin", "https://"+front) // as a page does
		}
		return client.Do(req)
	}
	require.Eventually(t, func() bool {
		resp, err := client.Get("https://" + front + "/")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusUnauthorized
	}, patience, 10*time.Millisecond)

	resp, err := do(http.MethodGet, "/events?topic=a", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, 2, resp.ProtoMajor)
	s := &proxied{resp: resp, lines: bufio.NewReader(resp.Body)}
	defer s.close()
	for _, data := range []string{"first", strings.Repeat("x", 1<<20)} { // the second is beyond nginx' own bound on bodies
		pushed, err := do(http.MethodPost, "/push", fmt.Sprintf(`{"events":[{"topic":"a","data":%q}]}`, data))
		require.NoError(t, err)
		pushed.Body.Close()
		require.Equal(t, http.StatusOK, pushed.StatusCode)
		require.Equal(t, data, s.next(t).Data)
	}

	list, err := do(http.MethodGet, "/connections", "")
	require.NoError(t, err)
	defer list.Body.Close()
	text, err := io.ReadAll(list.Body)
	require.NoError(t, err)
	require.Contains(t, string(text), `"address":"127.0.0.2"`)
}

// writeCertificate writes a certificate for 127.0.0.1 and its key to files, and returns what trusts it.
func writeCertificate(t *testing.T, dir string) (cert, key string, trusted *x509.CertPool) {
	t.Helper()
	own := httptest.NewTLSServer(nil) // for its certificate
	defer own.Close()
	der, err := x509.MarshalPKCS8PrivateKey(own.TLS.Certificates[0].PrivateKey)
	require.NoError(t, err)
	write(t, dir, "hub.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate().Raw})))
	write(t, dir, "hub.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	trusted = x509.NewCertPool()
	trusted.AddCert(own.Certificate())
	return filepath.Join(dir, "hub.pem"), filepath.Join(dir, "hub.key"), trusted
}
