package sse

import (
	"context"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve"
	"github.com/spatehub/spate/wire"
)

// HubOption sets up a [Hub].
type HubOption func(*hubConfig)

type hubConfig struct {
	engine []engine.HubOption
	cancel context.CancelFunc
}

func with(o engine.HubOption) HubOption {
	return func(c *hubConfig) { c.engine = append(c.engine, o) }
}

// WithHub passes options of the engine on, for what has no name here.
func WithHub(opts ...engine.HubOption) HubOption {
	return func(c *hubConfig) { c.engine = append(c.engine, opts...) }
}

// WithContext closes the hub when ctx ends; [Hub.Close] calls cancel, which may
// be nil.
func WithContext(ctx context.Context, cancel context.CancelFunc) HubOption {
	return func(c *hubConfig) {
		if ctx != nil {
			c.engine = append(c.engine, engine.WithContext(ctx))
		}
		c.cancel = cancel
	}
}

// WithStore keeps every event in s. A log of package persist is given with
// [WithHub] and [engine.WithLog] instead: it needs no call for each event.
func WithStore(s Store) HubOption {
	if s == nil {
		return func(*hubConfig) {}
	}
	return with(engine.WithStore(store{s}))
}

// WithEnableResendEvents serves Last-Event-ID: from the store where there is
// one, else from the recent history in memory.
func WithEnableResendEvents() HubOption { return with(engine.WithEnableResendEvents()) }

// WithChanBufferSize is [engine.WithChanBufferSize]; n ≤ 0 leaves the default.
func WithChanBufferSize(n int) HubOption {
	if n <= 0 {
		return func(*hubConfig) {}
	}
	return with(engine.WithChanBufferSize(n))
}

// WithPushBufferSize is [WithChanBufferSize].
func WithPushBufferSize(n int) HubOption { return WithChanBufferSize(n) }

// WithWorkerNum is [engine.WithWorkerNum]; n ≤ 0 leaves the default.
func WithWorkerNum(n int) HubOption {
	if n <= 0 {
		return func(*hubConfig) {}
	}
	return with(engine.WithWorkerNum(n))
}

// WithPushFailedHandleFn is [engine.WithPushFailedHandleFn].
func WithPushFailedHandleFn(fn func(uid string, event *Event)) HubOption {
	if fn == nil {
		return func(*hubConfig) {}
	}
	return with(engine.WithPushFailedHandleFn(func(uid string, e *wire.Event) { fn(uid, (*Event)(e)) }))
}

// WithLogger sets the hub's logger: a *slog.Logger, a *zap.Logger, or whatever
// else has these methods. nil leaves the default, slog's.
func WithLogger[F any](l Logger[F]) HubOption {
	if isNil(l) {
		return func(*hubConfig) {}
	}
	return with(engine.WithLogger(slogOf(l)))
}

// ServeOption sets up one stream.
type ServeOption = serve.ServeOption

// WithServeExtraHeaders adds headers to the response; see
// [serve.WithServeExtraHeaders].
func WithServeExtraHeaders(headers map[string]string) ServeOption {
	return serve.WithServeExtraHeaders(headers)
}
