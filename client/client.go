package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"

	"github.com/spatehub/spate/wire"
)

// SSEClient receives the events of one URL, over as many connections as it
// takes.
//
// A client is started once, by [SSEClient.Connect], [SSEClient.Events] or
// [SSEClient.RawEvents], and does not live again after it has ended. All methods
// may be called from any goroutine, callbacks included.
type SSEClient struct {
	target   *url.URL // nil where the URL is none, which cfg.faults has
	shownURL string
	cfg      *config
	keeper   keeper

	ctx        context.Context // ends with Disconnect
	disconnect context.CancelFunc
	done       chan struct{} // closed when state becomes StateEnded

	// The reading goroutine's, and start's before there is one.
	hc        *http.Client
	closeIdle func()
	moved     *url.URL // where permanent redirects lead; nil: nowhere else
	waits     backoff
	tries     int    // attempts since the last healthy connection
	idBuf     []byte // the position after the event that is being handed out

	mu        sync.Mutex
	state     State
	err       error  // set before done is closed
	lastID    []byte // not shared: LastEventID copies
	on        callbacks
	restart   bool                    // asked for, and no attempt has begun since
	interrupt context.CancelCauseFunc // of the attempt, stream or wait that runs
}

// NewClient returns a client of the event stream at url, which is not contacted
// yet.
func NewClient(url string, opts ...Option) *SSEClient {
	c := &SSEClient{
		shownURL: showURL(url),
		cfg:      newConfig(opts),
		done:     make(chan struct{}),
		on:       callbacks{events: make(map[string]func(*wire.Event))},
	}
	var err error
	if c.target, err = parseURL(url); err != nil {
		c.cfg.faults = append(c.cfg.faults, err)
	}
	if c.hc, c.closeIdle, err = c.cfg.request.client(); err != nil {
		c.cfg.faults = append(c.cfg.faults, err)
		c.closeIdle = func() {}
	}
	c.waits = backoff{base: c.cfg.waits.interval, max: c.cfg.waits.maxBackoff}
	c.keeper.keepConfig = c.cfg.keep
	c.lastID = []byte(c.cfg.lastEventID)
	c.ctx, c.disconnect = context.WithCancel(context.Background())
	return c
}

// Connect makes the first connection and returns when the server has accepted
// it. From then on a goroutine runs the callbacks and connects again whenever
// the connection is lost, until the client ends.
//
// If the first connection can't be made Connect returns why, and may be called
// again. It returns [ErrDisconnected] if Disconnect is or was called, and
// [ErrConnected] if the client is in use already.
func (c *SSEClient) Connect() error {
	s, err := c.start(c.ctx)
	if err != nil {
		return err
	}
	go func() {
		// Deferred for callbacks that end the goroutine, as a test's FailNow does.
		var err error
		defer func() { c.end(err) }()
		err = c.run(c.ctx, s, func(*stream) bool { return true })
	}()
	return nil
}

// Disconnect ends the client: it gives up at once whatever it waits for. It does
// not itself wait for a callback that is running; that is what Wait is for.
// Further calls do nothing.
func (c *SSEClient) Disconnect() {
	c.disconnect()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == StateIdle {
		c.state = StateEnded
		c.closeIdle()
		close(c.done)
	}
}

// Restart drops the connection, or cuts a wait or an attempt short, connects at
// once, and resumes. Before the client is started, and after its end, it does
// nothing.
func (c *SSEClient) Restart() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == StateIdle || c.state == StateEnded {
		return
	}
	c.restart = true
	if c.interrupt != nil {
		c.interrupt(ErrRestart)
	}
}

// Wait returns a channel that is closed when the client has ended for good: no
// callback runs any more, and none will.
func (c *SSEClient) Wait() <-chan struct{} { return c.done }

// Err says why the client has ended. It is nil as long as it has not, and when
// that was asked for: by Disconnect, by an event that [WithEnd] or [WithEndData]
// names, or by the server's own end of a stream [WithoutReconnect].
func (c *SSEClient) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// LastEventID is where the stream would be resumed: the last ID told up to the
// event that was handed out last, that event included. Inside of its callback
// it is the event's own.
func (c *SSEClient) LastEventID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.lastID)
}

// start takes the client from idle to open by its first connection.
func (c *SSEClient) start(ctx context.Context) (*stream, error) {
	if err := c.cfg.valid(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	switch c.state {
	case StateIdle:
	case StateEnded:
		c.mu.Unlock()
		return nil, ErrDisconnected
	default:
		c.mu.Unlock()
		return nil, ErrConnected
	}
	c.state = StateConnecting
	c.mu.Unlock()

	s, err := c.first(ctx)

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil { // Disconnect has left it to us
		if err == nil {
			s.close()
		}
		c.state = StateEnded
		c.closeIdle()
		close(c.done)
		return nil, ErrDisconnected
	}
	if err != nil {
		c.state, c.interrupt = StateIdle, nil
		return nil, err
	}
	return s, nil
}

// end takes the client from running to ended.
func (c *SSEClient) end(err error) {
	if cause := c.keeper.flush(); cause != nil {
		c.tellError(cause)
		err = errors.Join(err, cause)
	}
	c.closeIdle()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	c.state = StateEnded
	c.disconnect()
	close(c.done)
}
