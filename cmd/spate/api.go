package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/api"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// apiConfig is what the API beside streams was asked to do.
type apiConfig struct {
	presence   string        // topic; "": none
	onceWindow time.Duration // 0: no keys are taken
	onceKeys   int
}

func (c *apiConfig) addFlags(fs *flagSet) {
	c.onceWindow = 15 * time.Minute
	fs.StringVar(&c.presence, "presence-topic", "", "`topic` on which the hub tells of users who come and go (default none)")
	fs.Var((*ageValue)(&c.onceWindow), "idempotency-window", "`time` for which the Idempotency-Key of a push is remembered (0: none is taken)")
	fs.IntVar(&c.onceKeys, "idempotency-keys", 250_000, "`number` of such keys that are remembered at most")
}

func (c *apiConfig) validate(fs *flagSet) {
	probe := wire.Event{Topic: c.presence, Data: ""}
	err := probe.Validate()
	fs.must(err == nil, "presence-topic", "--presence-topic %q: %v", c.presence, err)
	fs.must(c.onceWindow == 0 || c.onceWindow >= time.Second && c.onceWindow <= 7*24*time.Hour, "idempotency-window",
		"--idempotency-window %v: give 1s to 7d, or 0 for none", (*ageValue)(&c.onceWindow))
	fs.must(c.onceKeys >= 1 && c.onceKeys <= 10_000_000, "idempotency-keys", "--idempotency-keys %d: give 1 to 10000000", c.onceKeys)
}

// api is the handlers beside streams and pushes.
func (p parts) api(c *serveConfig, hub *engine.Hub, a *access) *api.API {
	routes := &api.API{Hub: hub, Authorize: a.grant, Source: a.source, Drain: p.drain.begin, RetryMin: c.drain.retry.min, RetryMax: c.drain.retry.max}
	routes.Query = tokenQuery(c)
	switch {
	case a.shared != nil:
		routes.Revoker = a.shared
	case !a.open:
		routes.Revoker = ownRevocations{a}
	}
	return routes
}

// grant is what a request may do that is neither a stream nor a push: within the bounds of all requests, and by what
// has not been taken back.
func (a *access) grant(r *http.Request) (stream.Grant, error) {
	if err := a.gate.Request(r); err != nil {
		return stream.Grant{}, err
	}
	return a.guard(a.credentials)(r)
}

// once returns what remembers the keys of pushes, nil for nothing.
func (c *serveConfig) once(ctx context.Context, hub *engine.Hub) (*stream.Once, error) {
	if c.api.onceWindow == 0 {
		return nil, nil
	}
	once, err := stream.NewOnce(ctx, hub, c.api.onceWindow, c.api.onceKeys)
	if err != nil {
		return nil, fmt.Errorf("cannot read the keys of pushes: %w", err)
	}
	return once, nil
}

// tokenQuery is the parameters that say who asks, on routes beside streams and pushes.
func tokenQuery(c *serveConfig) []string {
	if c.access.tokenQuery == "" {
		return nil
	}
	return []string{c.access.tokenQuery}
}
