package portable

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/spatehub/spate/loadtest/internal/adapter"
	"github.com/spatehub/spate/loadtest/internal/config"
)

const (
	loginsAtOnce = 16
	maxLogin     = 1 << 20 // bytes of an answer
)

// Login makes the login request of every user that streams from to to (excluded)
// belong to, and gives what it yields to the adapter. It returns when all are
// answered, or at the first that fails.
func Login(ctx context.Context, c *config.Config, a *adapter.Adapter, from, to int) error {
	if c.Login.URL == "" {
		return nil
	}
	conf, err := TLS(c)
	if err != nil {
		return err
	}
	rt := &http.Transport{TLSClientConfig: conf, MaxIdleConnsPerHost: loginsAtOnce}
	defer rt.CloseIdleConnections()
	client := &http.Client{
		Transport: rt, Timeout: c.ConnectTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // whose cookies count
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	streams := make(chan int)
	var wg sync.WaitGroup
	for range loginsAtOnce {
		wg.Go(func() {
			for n := range streams {
				if err := login(ctx, client, c, a, n); err != nil {
					cancel(fmt.Errorf("login of stream %d: %w", n, err))
				}
			}
		})
	}
	seen := map[uint32]bool{}
	for n := from; n < to && ctx.Err() == nil; n++ {
		if u := c.User(n); !seen[u] {
			seen[u] = true
			streams <- n
		}
	}
	close(streams)
	wg.Wait()
	return context.Cause(ctx)
}

func login(ctx context.Context, client *http.Client, c *config.Config, a *adapter.Adapter, n int) error {
	r, err := a.LoginRequest(n)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL.String(), bytes.NewReader(r.Body))
	if err != nil {
		return err
	}
	for _, h := range r.Header {
		req.Header.Set(h.Name, h.Value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxLogin))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 400 {
		return fmt.Errorf("%s answered %s %.200q", r.URL, resp.Status, body)
	}
	got := map[string]string{}
	for _, take := range c.Login.Take {
		name, from, _ := strings.Cut(take, "=")
		v, ok := taken(resp, body, from)
		if !ok {
			return fmt.Errorf("%s answered %s without %s (-login-take %s)", r.URL, resp.Status, from, take)
		}
		got[name] = v
	}
	a.LoggedIn(n, got)
	return nil
}

// taken finds a value in the answer to a login.
func taken(resp *http.Response, body []byte, from string) (string, bool) {
	kind, name, _ := strings.Cut(from, ":")
	switch kind {
	case "cookie":
		for _, k := range resp.Cookies() {
			if k.Name == name {
				return k.Value, true
			}
		}
		return "", false
	case "header":
		v := resp.Header.Get(name)
		return v, v != ""
	}
	v := gjson.GetBytes(body, config.JSONPath(name))
	return v.String(), v.Exists()
}
