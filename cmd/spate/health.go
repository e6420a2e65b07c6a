package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// healthConfig is what `spate health` was asked to do.
type healthConfig struct {
	url   string
	unix  string // path of a socket; empty: url's address
	path  string
	limit time.Duration
	hub   credentials // the certificates alone: probes need no token
}

func parseHealth(s streams, args []string) (*healthConfig, error) {
	c := &healthConfig{path: "/healthz", limit: 5 * time.Second}
	fs := newFlagSet("health [flags]")
	fs.StringVar(&c.url, "url", defaultURL, "`address` of the hub")
	c.hub.addCA(fs)
	fs.StringVar(&c.unix, "unix", "", "ask the hub at this Unix `socket` instead")
	ready := fs.Bool("ready", false, "ask whether it takes streams and pushes now (/readyz), rather than whether it works (/healthz)")
	fs.Var((*ageValue)(&c.limit), "timeout", "`time` within which it must answer")
	if err := fs.parse(s, args); err != nil {
		return nil, err
	}
	switch {
	case fs.NArg() > 0:
		return nil, usagef("unexpected argument %q", fs.Arg(0))
	case c.unix != "" && fs.contradicts("url", "unix"):
		return nil, usagef("--url and --unix contradict each other: give one of them")
	case c.limit == 0:
		return nil, usagef("--timeout %v: give a positive duration", c.limit)
	}
	if *ready {
		c.path = "/readyz"
	}
	base, err := hubURL(c.url)
	if c.unix != "" {
		base = "http://localhost" // the only name that a hub of no address answers to
	}
	c.url = base
	return c, err
}

// runHealth prints what the hub answers. It fails where the hub does not answer in time, or with anything but 200: probes
// look at the exit code.
func runHealth(ctx context.Context, s streams, args []string) error {
	c, err := parseHealth(s, args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+c.path, nil)
	if err != nil {
		return err
	}
	tlsConfig, err := c.hub.tls()
	if err != nil {
		return err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSClientConfig: tlsConfig}
	if c.unix != "" {
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", c.unix)
		}
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if ctx.Err() != nil {
		return fmt.Errorf("the hub did not answer within %v", c.limit)
	}
	if err != nil {
		return explainConnect(c.url, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	switch {
	case err != nil:
		return fmt.Errorf("the hub's answer broke off: %w", err)
	case res.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s%s is not there: no hub, or one of another version", c.url, c.path)
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", res.Status, errorText(text))
	}
	_, err = fmt.Fprintln(s.out, "ok")
	return err
}
