package serve

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
)

// The names of package stream, so that a program needs one import.
type (
	// ServeOption is [stream.Option].
	ServeOption = stream.Option
	// PushOption is [stream.PushOption].
	PushOption = stream.PushOption
	// Error is [stream.Error].
	Error = stream.Error
	// Grant is [stream.Grant].
	Grant = stream.Grant
	// Authorizer is [stream.Authorizer].
	Authorizer = stream.Authorizer
	// Sessions is [stream.Sessions].
	Sessions = stream.Sessions
	// Gate is [stream.Gate].
	Gate = stream.Gate
)

// Handler is [stream.Handler].
func Handler(hub *engine.Hub, identify func(*http.Request) (uid string, topics []string, err error), opts ...ServeOption) http.Handler {
	return stream.Handler(hub, identify, opts...)
}

// PushHandler is [stream.PushHandler].
func PushHandler(hub *engine.Hub, opts ...PushOption) http.Handler {
	return stream.PushHandler(hub, opts...)
}

// Authorized is [stream.Authorized].
func Authorized(hub *engine.Hub, authorize Authorizer, opts ...ServeOption) http.Handler {
	return stream.Authorized(hub, authorize, opts...)
}

// AuthorizedPush is [stream.AuthorizedPush].
func AuthorizedPush(hub *engine.Hub, authorize Authorizer, opts ...PushOption) http.Handler {
	return stream.AuthorizedPush(hub, authorize, opts...)
}

// WithGate is [stream.WithGate].
func WithGate(g Gate) ServeOption { return stream.WithGate(g) }

// WithSessions is [stream.WithSessions].
func WithSessions(s *Sessions) ServeOption { return stream.WithSessions(s) }

// WithQuery is [stream.WithQuery].
func WithQuery(names ...string) ServeOption { return stream.WithQuery(names...) }

// WithPushSource is [stream.WithPushSource].
func WithPushSource(source func(*http.Request) string) PushOption {
	return stream.WithPushSource(source)
}

// WithPushGate is [stream.WithPushGate].
func WithPushGate(g Gate) PushOption { return stream.WithPushGate(g) }

// WithServeExtraHeaders is [stream.WithExtraHeaders].
func WithServeExtraHeaders(headers map[string]string) ServeOption {
	return stream.WithExtraHeaders(headers)
}

// WithTopics is [stream.WithTopics].
func WithTopics(topics ...string) ServeOption { return stream.WithTopics(topics...) }

// WithRetry is [stream.WithRetry].
func WithRetry(d time.Duration) ServeOption { return stream.WithRetry(d) }

// WithPolicy is [stream.WithPolicy].
func WithPolicy(p engine.Policy) ServeOption { return stream.WithPolicy(p) }

// WithStallTimeout is [stream.WithStallTimeout].
func WithStallTimeout(d time.Duration) ServeOption { return stream.WithStallTimeout(d) }

// WithConflation is [stream.WithConflation].
func WithConflation() ServeOption { return stream.WithConflation() }

// WithPatient is [stream.WithPatient].
func WithPatient(patient func(*http.Request) bool) ServeOption { return stream.WithPatient(patient) }

// WithRefuseGap is [stream.WithRefuseGap].
func WithRefuseGap() ServeOption { return stream.WithRefuseGap() }

// WithPortable is [stream.WithPortable].
func WithPortable() ServeOption { return stream.WithPortable() }

// WithoutEncoding is [stream.WithoutEncoding].
func WithoutEncoding() ServeOption { return stream.WithoutEncoding() }

// WithMaxConns is [stream.WithMaxConns].
func WithMaxConns(n int) ServeOption { return stream.WithMaxConns(n) }

// WithMaxTopics is [stream.WithMaxTopics].
func WithMaxTopics(n int) ServeOption { return stream.WithMaxTopics(n) }

// WithContext is [stream.WithContext].
func WithContext(fn func(*http.Request) context.Context) ServeOption { return stream.WithContext(fn) }

// WithDescriptorReserve is [stream.WithDescriptorReserve].
func WithDescriptorReserve(n int) ServeOption { return stream.WithDescriptorReserve(n) }

// DescriptorStats is [stream.DescriptorStats].
func DescriptorStats() stream.Descriptors { return stream.DescriptorStats() }

// WithSource is [stream.WithSource].
func WithSource(source func(*http.Request) string) ServeOption { return stream.WithSource(source) }

// WithLater is [stream.WithLater].
func WithLater(d time.Duration) ServeOption { return stream.WithLater(d) }

// ParseQuery is [stream.ParseQuery].
func ParseQuery(r *http.Request, single, multiple []string) (url.Values, error) {
	return stream.ParseQuery(r, single, multiple)
}

// WriteError is [stream.WriteError].
func WriteError(w http.ResponseWriter, e *Error) { stream.WriteError(w, e) }

// WithPushBodyLimit is [stream.WithPushBodyLimit].
func WithPushBodyLimit(n int64) PushOption { return stream.WithPushBodyLimit(n) }

// WithPushUserLimit is [stream.WithPushUserLimit].
func WithPushUserLimit(n int) PushOption { return stream.WithPushUserLimit(n) }

// WithPushEventLimit is [stream.WithPushEventLimit].
func WithPushEventLimit(n int) PushOption { return stream.WithPushEventLimit(n) }

// LeastPushMemory is [stream.LeastPushMemory].
func LeastPushMemory(bodyLimit int64) int64 { return stream.LeastPushMemory(bodyLimit) }

// WithPushMemory is [stream.WithPushMemory].
func WithPushMemory(n int64) PushOption { return stream.WithPushMemory(n) }

// WithPushTimeout is [stream.WithPushTimeout].
func WithPushTimeout(d time.Duration) PushOption { return stream.WithPushTimeout(d) }

// WithPushBodyTimeout is [stream.WithPushBodyTimeout].
func WithPushBodyTimeout(d time.Duration) PushOption { return stream.WithPushBodyTimeout(d) }
