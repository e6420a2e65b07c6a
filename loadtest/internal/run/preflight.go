package run

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"syscall"

	"github.com/spatehub/spate/loadtest/http1"
	"github.com/spatehub/spate/loadtest/internal/adapter"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/fleet"
	"github.com/spatehub/spate/loadtest/internal/portable"
)

// preflight opens one stream, so that what is wrong with all of them is said
// once, with what to do about it, before anything is loaded.
func preflight(ctx context.Context, c *config.Config, a *adapter.Adapter) (software string, err error) {
	if c.Streams == 0 || !c.Try || c.Finite {
		return "", nil
	}
	sub, err := a.Subscribe(0)
	if err != nil {
		return "", err
	}
	conf, err := portable.TLS(c)
	if err != nil {
		return "", err
	}
	addrs, err := fleet.NewAddresses(c)
	if err != nil {
		return "", err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!c.HTTP2)
	protocols.SetHTTP2(c.HTTP2)
	protocols.SetUnencryptedHTTP2(c.HTTP2)
	rt := &http.Transport{
		TLSClientConfig: conf, Protocols: protocols, DisableCompression: true,
		DialContext: func(ctx context.Context, network, hostport string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, addrs.Spread(0, hostport))
		},
	}
	defer rt.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	var content io.Reader
	if sub.Body != nil {
		content = bytes.NewReader(sub.Body)
	}
	req, err := http.NewRequestWithContext(ctx, sub.Method, sub.URL.String(), content)
	if err != nil {
		return "", fmt.Errorf("-url: %w", err)
	}
	req.Header.Set("Accept", http1.EventStream)
	for _, h := range sub.Header {
		req.Header.Set(h.Name, h.Value)
	}
	client := http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return "", unreachable(sub.URL.String(), c, err)
	}
	defer resp.Body.Close()
	return resp.Header.Get("Server"), checkAnswer(sub.URL.String(), c, resp)
}

// unreachable explains why there was no answer.
func unreachable(url string, c *config.Config, err error) error {
	var (
		dns     *net.DNSError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
	)
	advice := "is the address right?"
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		advice = "nothing listens there: start the server, or correct -url"
	case errors.As(err, &dns):
		advice = "the name is unknown: correct -url, or name addresses with -dest"
	case errors.As(err, &unknown):
		advice = "the certificate's authority is unknown: name it with -cacert, or accept any with -insecure"
	case errors.As(err, &name):
		advice = "the certificate is for another name: correct -url, or accept it with -insecure"
	case errors.Is(err, http.ErrSchemeMismatch):
		advice = "the server does not speak TLS there: use http://"
	case errors.Is(err, context.DeadlineExceeded):
		advice = fmt.Sprintf("no answer within %s: is a firewall in between, or does the server send its head only with the first event? See -connect-timeout", c.ConnectTimeout)
	case c.HTTP2:
		advice = "does the server speak HTTP/2 there? Try without -http2"
	}
	return fmt.Errorf("no stream at %s: %w; %s", url, err, advice)
}

// checkAnswer explains an answer that is no event stream.
func checkAnswer(url string, c *config.Config, resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(limitIf(resp), 200))
	what := fmt.Sprintf("%s answered %s", url, resp.Status)
	if len(body) > 0 {
		what += fmt.Sprintf(" %q", body)
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s; give each stream its credentials with -bearer, -header or a {{.Token}} from -tokens", what)
	case http.StatusNotFound:
		return fmt.Errorf("%s; name the path of the event stream in -url", what)
	case http.StatusNoContent:
		return fmt.Errorf("%s, which tells clients to stay away", what)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return fmt.Errorf("%s; the server limits connections: raise its limit, or lower -streams or -connect-rate", what)
	default:
		if to := resp.Header.Get("Location"); to != "" {
			return fmt.Errorf("%s and points to %s; give that as -url, streams follow no redirects", what, to)
		}
		return fmt.Errorf("%s instead of 200", what)
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if media != http1.EventStream {
		return fmt.Errorf("%s answered with content-type %q, not %s: -url must be that of the event stream itself", url, resp.Header.Get("Content-Type"), http1.EventStream)
	}
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return fmt.Errorf("%s answered with content-encoding %s although none was asked for: turn compression off for this test", url, enc)
	}
	return nil
}

// limitIf is the body of an answer that is an error, and nothing of a stream.
func limitIf(resp *http.Response) io.Reader {
	if resp.StatusCode == http.StatusOK {
		return http.NoBody
	}
	return resp.Body
}
