package tlsfile_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/internal/testcert"
	"github.com/spatehub/spate/serve/tlsfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site serves with files of a folder.
type site struct {
	t        *testing.T
	ca       *testcert.CA
	dir      string
	config   *tlsfile.Config
	addr     string
	reported chan error
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) files() tlsfile.Files {
	return tlsfile.Files{Cert: s.path("cert.pem"), Key: s.path("key.pem"), Report: func(err error) { s.reported <- err }}
}

// newSite writes a certificate for the name.
func newSite(t *testing.T, name string) *site {
	s := &site{t: t, ca: testcert.NewCA(t, "root"), dir: t.TempDir(), reported: make(chan error, 10)}
	s.write(name)
	return s
}

func (s *site) write(name string) {
	testcert.WritePair(s.t, s.ca.Issue(testcert.Leaf{CommonName: name}), s.path("cert.pem"), s.path("key.pem"))
}

func (s *site) serve(f tlsfile.Files) {
	s.t.Helper()
	var err error
	s.config, err = tlsfile.Load(f)
	require.NoError(s.t, err)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, r.Proto)
			for _, chain := range r.TLS.VerifiedChains {
				io.WriteString(w, " "+chain[0].Subject.CommonName)
			}
		}),
		TLSConfig:         s.config.Server(),
		ReadHeaderTimeout: 10 * time.Second,
	}
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(inner, "", "") }()
	s.t.Cleanup(func() {
		server.Close()
		require.ErrorIs(s.t, <-done, http.ErrServerClosed)
	})
	s.addr = inner.Addr().String()
}

// get asks over a connection of its own, and returns who the server is and what it says.
func (s *site) get(c *tls.Config) (server, body string, err error) {
	s.t.Helper()
	c.RootCAs = s.ca.Pool()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + s.addr)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.TLS.PeerCertificates[0].Subject.CommonName, string(text), err
}

func TestCertificateIsReplacedWhileServing(t *testing.T) {
	s := newSite(t, "one")
	s.serve(s.files())
	server, body, err := s.get(&tls.Config{})
	require.NoError(t, err)
	require.Equal(t, "one", server)
	require.Equal(t, "HTTP/2.0", body)

	s.write("two")
	require.Eventually(t, func() bool {
		server, _, err := s.get(&tls.Config{})
		require.NoError(t, err)
		return server == "two"
	}, 30*time.Second, 10*time.Millisecond)

	require.NoError(t, os.WriteFile(s.path("key.pem"), []byte("nonsense"), 0o600))
	require.ErrorContains(t, s.config.Reload(), "key.pem")
	server, _, err = s.get(&tls.Config{})
	require.NoError(t, err)
	require.Equal(t, "two", server, "what cannot be read changes nothing")
	require.Eventually(t, func() bool {
		_, _, err := s.get(&tls.Config{})
		require.NoError(t, err)
		return len(s.reported) > 0 || s.config.Reload() != nil
	}, 30*time.Second, 10*time.Millisecond)

	s.write("three")
	require.NoError(t, s.config.Reload())
	server, _, err = s.get(&tls.Config{})
	require.NoError(t, err)
	require.Equal(t, "three", server)
}

func TestMinVersion(t *testing.T) {
	s := newSite(t, "one")
	s.serve(s.files())
	_, _, err := s.get(&tls.Config{MaxVersion: tls.VersionTLS12})
	require.NoError(t, err)
	_, _, err = s.get(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	require.Error(t, err)

	f := s.files()
	f.MinVersion = tls.VersionTLS13
	s.serve(f)
	_, _, err = s.get(&tls.Config{MaxVersion: tls.VersionTLS12})
	require.Error(t, err)
	_, _, err = s.get(&tls.Config{})
	require.NoError(t, err)

	v, err := tlsfile.ParseMinVersion("1.3")
	require.NoError(t, err)
	require.EqualValues(t, tls.VersionTLS13, v)
	_, err = tlsfile.ParseMinVersion("1.1")
	require.ErrorContains(t, err, `"1.1"`)
}

func TestClientCertificates(t *testing.T) {
	s := newSite(t, "server")
	clients, strangers := testcert.NewCA(t, "clients"), testcert.NewCA(t, "strangers")
	clients.WritePEM(s.path("ca.pem"))
	f := s.files()
	f.ClientCA = s.path("ca.pem")
	s.serve(f)
	with := func(ca *testcert.CA) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{ca.Issue(testcert.Leaf{CommonName: "tom"})}}
	}
	_, body, err := s.get(with(clients))
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0 tom", body)
	_, body, err = s.get(&tls.Config{})
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0", body)

	strangers.WritePEM(s.path("ca.pem"))
	require.NoError(t, s.config.Reload())
	_, body, err = s.get(with(strangers))
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0 tom", body)

	// A session of before does not outlive the trust in its certificate's issuer. (A client sends no certificate that the server would not take.)
	cache := with(strangers)
	cache.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	for range 2 {
		_, body, err = s.get(cache)
		require.NoError(t, err)
		require.Equal(t, "HTTP/2.0 tom", body)
	}
	clients.WritePEM(s.path("ca.pem"))
	require.NoError(t, s.config.Reload())
	_, body, err = s.get(cache)
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0", body)

	f.RequireClient = true
	s.serve(f)
	_, _, err = s.get(&tls.Config{})
	require.Error(t, err)
	_, _, err = s.get(with(clients))
	require.NoError(t, err)
}

func TestLoadRefuses(t *testing.T) {
	s := newSite(t, "one")
	require.NoError(t, os.WriteFile(s.path("empty"), nil, 0o600))
	for name, tc := range map[string]struct {
		change func(*tlsfile.Files)
		names  string
	}{
		"no certificate":      {func(f *tlsfile.Files) { f.Cert = s.path("none") }, "none"},
		"no certificate in":   {func(f *tlsfile.Files) { f.Cert = s.path("empty") }, "empty"},
		"no key":              {func(f *tlsfile.Files) { f.Key = s.path("none") }, "none"},
		"no issuers":          {func(f *tlsfile.Files) { f.ClientCA = s.path("none") }, "none"},
		"no issuers in":       {func(f *tlsfile.Files) { f.ClientCA = s.path("empty") }, "empty"},
		"required of no one":  {func(f *tlsfile.Files) { f.RequireClient = true }, "required"},
		"version of long ago": {func(f *tlsfile.Files) { f.MinVersion = tls.VersionTLS10 }, "1.0"},
	} {
		f := s.files()
		tc.change(&f)
		_, err := tlsfile.Load(f)
		require.ErrorContains(t, err, tc.names, name)
	}
	testcert.WritePair(t, s.ca.Issue(testcert.Leaf{CommonName: "old", NotAfter: time.Now().Add(-time.Hour)}), s.path("cert.pem"), s.path("key.pem"))
	_, err := tlsfile.Load(s.files())
	require.ErrorContains(t, err, "expired")
}
