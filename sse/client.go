package sse

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/client"
	"github.com/spatehub/spate/wire"
)

// ClientOption sets up an [SSEClient].
type ClientOption func(*[]client.Option)

func withClient(o client.Option) ClientOption {
	return func(opts *[]client.Option) { *opts = append(*opts, o) }
}

// WithClient passes options of package client on, for what has no name here.
func WithClient(opts ...client.Option) ClientOption {
	return func(all *[]client.Option) { *all = append(*all, opts...) }
}

// WithClientHeaders adds headers to each request.
func WithClientHeaders(headers map[string]string) ClientOption {
	return withClient(client.WithHeaders(headers))
}

// WithClientLogger sets the client's logger; see [WithLogger].
func WithClientLogger[F any](l Logger[F]) ClientOption {
	if isNil(l) {
		return func(*[]client.Option) {}
	}
	return withClient(client.WithLogger(slogOf(l)))
}

// WithClientReconnectTimeInterval sets the wait before the first attempt to
// connect again; further ones double it. The server's "retry:" takes its place.
func WithClientReconnectTimeInterval(d time.Duration) ClientOption {
	return withClient(client.WithReconnectInterval(d))
}

// EventCallback is called with each event of the type that it is registered
// for. It may keep the event, whose Data is a string.
type EventCallback func(event *Event)

// SSEClient receives the events of one URL. It reconnects and resumes by itself
// until Disconnect is called, the server sends a [CloseEvent], or says by status
// that coming back is of no use. All methods may be called from any goroutine.
type SSEClient struct {
	client  *client.SSEClient
	started atomic.Bool   // Connect, or Disconnect before it: only one of them goes on
	done    chan struct{} // closed at the end, after err
	err     error
}

// NewClient returns a client of the stream at url, which is not contacted yet.
func NewClient(url string, opts ...ClientOption) *SSEClient {
	all := []client.Option{
		client.WithReconnectInterval(2 * time.Second),
		client.WithRetryFirst(),
		client.WithEnd(func(e *wire.Event) bool { return e.Event == closeEventType }),
	}
	for _, o := range opts {
		if o != nil {
			o(&all)
		}
	}
	return &SSEClient{client: client.NewClient(url, all...), done: make(chan struct{})}
}

// OnEvent registers the callback for a type of events; a later one takes an
// earlier one's place. Callbacks run one at a time, in the order of the stream.
func (c *SSEClient) OnEvent(eventType string, callback EventCallback) {
	if callback == nil {
		c.client.OnEvent(eventType, nil)
		return
	}
	c.client.OnEvent(eventType, func(e *wire.Event) { callback((*Event)(e)) })
}

// Connect starts the client and returns at once: the server need not be there
// yet. It fails where the client was started or ended before; why it cannot
// connect later on is told by Err once Wait's channel is closed.
func (c *SSEClient) Connect() error {
	if !c.started.CompareAndSwap(false, true) {
		return client.ErrConnected
	}
	go func() {
		defer close(c.done)
		err := c.client.Connect()
		if err == nil {
			<-c.client.Wait()
			err = c.client.Err()
		}
		c.client.Disconnect() // after a failure it could be started again
		if !errors.Is(err, client.ErrDisconnected) {
			c.err = err
		}
	}()
	return nil
}

// Disconnect ends the client at once. Further calls do nothing.
func (c *SSEClient) Disconnect() {
	c.client.Disconnect()
	if c.started.CompareAndSwap(false, true) {
		close(c.done)
	}
}

// Wait returns a channel that is closed when the client has ended for good.
func (c *SSEClient) Wait() <-chan struct{} { return c.done }

// Err says why the client has ended: nil as long as it has not, and where that
// was asked for.
func (c *SSEClient) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// GetConnectStatus reports whether a connection stands.
func (c *SSEClient) GetConnectStatus() bool { return c.client.State() == client.StateOpen }
