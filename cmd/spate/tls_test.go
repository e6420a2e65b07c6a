package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testcert"
)

// certFiles are the files of a hub with TLS.
type certFiles struct{ ca, cert, key string }

func newCertFiles(t *testing.T, ca *testcert.CA) certFiles {
	t.Helper()
	dir := t.TempDir()
	f := certFiles{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	ca.WritePEM(f.ca)
	testcert.WritePair(t, ca.Issue(testcert.Leaf{CommonName: "first"}), f.cert, f.key)
	return f
}

func (f certFiles) flags() []string { return []string{"--tls-cert", f.cert, "--tls-key", f.key} }

// tlsClient is a client that trusts the CA; it speaks HTTP/2 where asked to.
func tlsClient(t *testing.T, ca *testcert.CA, two bool, certs ...tls.Certificate) *http.Client {
	p := new(http.Protocols)
	p.SetHTTP1(!two)
	p.SetHTTP2(two)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), Certificates: certs}, Protocols: p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// first reads what a stream begins with, and leaves it.
func first(t *testing.T, client *http.Client, target string, header ...string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	require.NoError(t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		buf := make([]byte, 7)
		_, err = io.ReadFull(res.Body, buf)
		require.NoError(t, err)
		require.Equal(t, ": spate", string(buf))
	}
	return res
}

// TLS serves HTTP/1.1 and HTTP/2 with the certificate of the moment, refuses what is older than it should be, and what is
// not TLS.
func TestTLS(t *testing.T) {
	ca := testcert.NewCA(t, "ca")
	files := newCertFiles(t, ca)
	s := startServe(t, append([]string{"--memory", "--tls-min", "1.3"}, files.flags()...)...)
	require.True(t, strings.HasPrefix(s.base, "https://"), s.base)
	for _, two := range []bool{false, true} {
		client := tlsClient(t, ca, two)
		res := first(t, client, s.base+"/events?uid=u")
		require.Equal(t, 200, res.StatusCode)
		require.Equal(t, two, res.ProtoMajor == 2)
		require.Equal(t, "first", res.TLS.PeerCertificates[0].Subject.CommonName)
	}
	addr := strings.TrimPrefix(s.base, "https://")
	_, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: ca.Pool(), MaxVersion: tls.VersionTLS12})
	require.ErrorContains(t, err, "version")
	plain, err := http.Get("http://" + addr + "/healthz")
	require.NoError(t, err)
	plain.Body.Close()
	require.Equal(t, 400, plain.StatusCode)

	testcert.WritePair(t, ca.Issue(testcert.Leaf{CommonName: "second"}), files.cert, files.key)
	s.hangups <- os.Interrupt // whatever the signal is
	require.Eventually(t, func() bool { return strings.Contains(s.err.String(), "read again") }, patience, time.Millisecond)
	res := first(t, tlsClient(t, ca, true), s.base+"/events")
	require.Equal(t, "second", res.TLS.PeerCertificates[0].Subject.CommonName)

	require.NoError(t, os.WriteFile(files.cert, []byte("nonsense"), 0o600))
	s.hangups <- os.Interrupt
	require.Eventually(t, func() bool { return strings.Contains(s.err.String(), "stay as they were") }, patience, time.Millisecond)
	res = first(t, tlsClient(t, ca, true), s.base+"/events")
	require.Equal(t, "second", res.TLS.PeerCertificates[0].Subject.CommonName)
}

// A client certificate is its user's, with the rights of the file; no other certificate counts, nor none.
func TestMutualTLS(t *testing.T) {
	ca, foreign := testcert.NewCA(t, "ca"), testcert.NewCA(t, "foreign")
	files := newCertFiles(t, ca)
	rights := written(t, "rights.json", `{"users":{"spiffe://hub/ann":{"read":["orders.>"]},"spiffe://hub/ops":{"admin":true}}}`)
	s := startServe(t, append([]string{"--memory", "--listen", "127.0.0.1:0", "--tls-client-ca", files.ca, "--tls-client-name", "uri", "--tls-client-rights", rights}, files.flags()...)...)
	issue := func(by *testcert.CA, uri ...string) tls.Certificate {
		return by.Issue(testcert.Leaf{CommonName: "x", URIs: uri})
	}
	for _, two := range []bool{false, true} {
		ann := tlsClient(t, ca, two, issue(ca, "spiffe://hub/ann"))
		require.Equal(t, 200, first(t, ann, s.base+"/events?topic=orders.1&uid=spiffe://hub/ann").StatusCode)
		require.Equal(t, 403, first(t, ann, s.base+"/events?topic=stock").StatusCode)
		require.Equal(t, 403, first(t, ann, s.base+"/stats").StatusCode)
		status, _, _ := ask(t, tlsClient(t, ca, two, issue(ca, "spiffe://hub/ops")), "GET", s.base+"/stats", nil)
		require.Equal(t, 200, status)
		for name, certs := range map[string][]tls.Certificate{"nobody": {issue(ca, "spiffe://hub/eve")}, "two names": {issue(ca, "spiffe://hub/ann", "spiffe://hub/ops")}} {
			require.Equal(t, 403, first(t, tlsClient(t, ca, two, certs...), s.base+"/events?topic=orders.1").StatusCode, name)
		}
		require.Equal(t, 401, first(t, tlsClient(t, ca, two), s.base+"/events?topic=orders.1").StatusCode)
		stranger := issue(foreign, "spiffe://hub/ops")
		client := tlsClient(t, ca, two)
		client.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &stranger, nil }
		_, err := client.Get(s.base + "/stats")
		require.Error(t, err, "nobody vouches for it")
		status, text, _ := ask(t, tlsClient(t, ca, two, issue(ca, "spiffe://hub/ops")), "GET", s.base+"/stats",
			[]string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"})
		require.Equal(t, 403, status, "a page of another site: %s", text)
	}
}

// h2c is spoken where it is asked for, and nowhere else.
func TestH2C(t *testing.T) {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: p}
	defer tr.CloseIdleConnections()
	s := startServe(t, "--memory", "--h2c")
	res := first(t, &http.Client{Transport: tr}, s.base+"/events")
	require.Equal(t, 2, res.ProtoMajor)
	other := startServe(t, "--memory")
	_, err := (&http.Client{Transport: tr}).Get(other.base + "/healthz")
	require.Error(t, err)
}

// Bounds count for the client that a trusted proxy names, by its header or by the PROXY protocol, and nobody else's word
// for it counts.
func TestBoundsBehindProxies(t *testing.T) {
	s := startServe(t, "--memory", "--max-requests-address", "0.001:1", "--trusted-proxy", "127.0.0.1", "--proxy-header", "X-Forwarded-For")
	for _, c := range []struct {
		from   string
		status int
	}{{"192.0.2.1", 200}, {"192.0.2.1", 429}, {"192.0.2.9, 192.0.2.2", 200}, {"192.0.2.8, 192.0.2.2", 429}} {
		status, _ := s.get("/stats", "X-Forwarded-For", c.from)
		require.Equal(t, c.status, status, c.from)
	}
	s = startServe(t, "--memory", "--max-requests-address", "0.001:1")
	status, _ := s.get("/stats", "X-Forwarded-For", "192.0.2.1")
	require.Equal(t, 200, status)
	status, _ = s.get("/stats", "X-Forwarded-For", "192.0.2.2")
	require.Equal(t, 429, status)

	s = startServe(t, "--memory", "--max-requests-address", "0.001:1", "--trusted-proxy", "127.0.0.1", "--proxy-protocol")
	for _, c := range []struct {
		from, answer string
	}{{"PROXY TCP4 192.0.2.1 192.0.2.100 1000 80\r\n", "200"}, {"PROXY TCP4 192.0.2.1 192.0.2.100 1001 80\r\n", "429"}, {"PROXY TCP4 192.0.2.2 192.0.2.100 1000 80\r\n", "200"}, {"", ""}} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.base, "http://"))
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		_, err = fmt.Fprintf(conn, "%sGET /stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", c.from)
		require.NoError(t, err)
		text, _ := io.ReadAll(conn) // a reset where the header is missing
		conn.Close()
		if c.answer == "" {
			require.NotContains(t, string(text), "HTTP/1.1 200")
			continue
		}
		require.True(t, strings.HasPrefix(string(text), "HTTP/1.1 "+c.answer), "%s: %s", c.from, text)
	}
}

// The tools speak to a hub with TLS and credentials.
func TestToolsWithCredentials(t *testing.T) {
	ca := testcert.NewCA(t, "ca")
	files := newCertFiles(t, ca)
	tokens, token := tokenFile(t, `"read":["a"],"push":{"topics":["a"]},"admin":true`)
	dir := t.TempDir()
	s := startServe(t, append([]string{"--data", filepath.Join(dir, "data"), "--backup-dir", filepath.Join(dir, "backups"), "--token-file", tokens}, files.flags()...)...)
	tool := func(token string, args ...string) result {
		var out, errs safeBuffer
		code := run(args, streams{in: strings.NewReader(""), out: &out, err: &errs, env: environment("SPATE_TOKEN", token, "SPATE_CA", files.ca)})
		return result{code, out.String(), errs.String()}
	}
	got := tool(token, "push", "--url", s.base, "--topic", "a", "hello")
	require.Equal(t, exitOK, got.code, got.err)
	got = tool(token, "tail", "--url", s.base, "--topic", "a", "--from-beginning", "--count", "1")
	require.Equal(t, exitOK, got.code, got.err)
	require.Contains(t, got.out, "hello")
	got = tool(token, "log", "backup", "--url", s.base)
	require.Equal(t, exitOK, got.code, got.err)
	require.Equal(t, result{exitOK, "ok\n", ""}, tool("", "health", "--url", s.base))
	require.Equal(t, exitUsage, tool("", "health", "--url", s.base, "--ca", files.key).code)
	for _, args := range [][]string{{"push", "--url", s.base, "hello"}, {"tail", "--url", s.base}, {"log", "backup", "--url", s.base}, {"health", "--url", s.base}} {
		got = runToEnd(t, "", args...) // which knows the system's issuers alone
		require.Equal(t, exitFailed, got.code, args)
		require.Contains(t, got.err, "name its file with --ca", args)
	}
	got = tool("other", "push", "--url", s.base, "--topic", "a", "hello")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.err, "not valid")
	require.Equal(t, exitFailed, tool("other", "tail", "--url", s.base).code)
	got = tool("line\nfeed", "push", "--url", s.base, "x")
	require.Equal(t, exitUsage, got.code)
	require.NotContains(t, got.err, "feed")
	require.Equal(t, exitUsage, runToEnd(t, "", "push", "--token", "x", "hello").code)
}
