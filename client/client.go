package client

import (
	"context"
	"sync"

	"github.com/spatehub/spate/wire"
)

// SSEClient receives the events of one URL, over as many connections as it
// takes.
//
// A client is started once, by [SSEClient.Connect] or [SSEClient.Events], and
// does not live again after it has ended. All methods may be called from any
// goroutine, callbacks included.
type SSEClient struct {
	url      string
	shownURL string
	cfg      config

	ctx        context.Context // ends with Disconnect
	disconnect context.CancelFunc
	done       chan struct{} // closed when state becomes stateEnded

	mu           sync.Mutex
	state        state
	err          error // set before done is closed
	lastID       string
	callbacks    map[string]func(*wire.Event)
	onConnect    func()
	onDisconnect func(error)
}

type state int

// idle → connecting → running → ended. Back to idle when the first connection
// fails, and straight to ended by Disconnect from idle and connecting.
const (
	stateIdle state = iota
	stateConnecting
	stateRunning
	stateEnded
)

// NewClient returns a client of the event stream at url, which is not contacted
// yet.
func NewClient(url string, opts ...Option) *SSEClient {
	c := &SSEClient{
		url:       url,
		shownURL:  showURL(url),
		cfg:       defaultConfig(),
		done:      make(chan struct{}),
		callbacks: make(map[string]func(*wire.Event)),
	}
	for _, opt := range opts {
		opt(&c.cfg)
	}
	c.lastID = c.cfg.lastEventID
	c.ctx, c.disconnect = context.WithCancel(context.Background())
	return c
}

// OnEvent registers fn for the events of a type; "" is [wire.DefaultEventType].
// There is one function for each type: a later one takes an earlier one's place,
// nil removes it. Events of types without a function are passed over.
//
// All callbacks of a client run one at a time, in the order of the stream, and
// the next event is read when fn has returned. fn may keep the event. A panic of
// fn is not caught.
func (c *SSEClient) OnEvent(eventType string, fn func(*wire.Event)) {
	if eventType == "" {
		eventType = wire.DefaultEventType
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.callbacks[eventType] = fn
}

// OnConnect sets a callback for each connection made, the first included.
func (c *SSEClient) OnConnect(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onConnect = fn
}

// OnDisconnect sets a callback for the end of each connection. Its error says
// why it ended; nil stands for Disconnect, for the server's "close" event, and
// for an Events loop that was left or whose context has ended.
func (c *SSEClient) OnDisconnect(fn func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onDisconnect = fn
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
		err = c.run(c.ctx, s, func(*wire.Event) bool { return true })
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
	if c.state == stateIdle {
		c.state = stateEnded
		close(c.done)
	}
}

// Wait returns a channel that is closed when the client has ended for good: no
// callback runs any more, and none will.
func (c *SSEClient) Wait() <-chan struct{} { return c.done }

// Err says why the client has ended. It is nil as long as it has not, and when
// that was asked for: by Disconnect, by an event of type "close", or by status
// 204 on reconnecting.
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
	return c.lastID
}

// start takes the client from idle to running by its first connection.
func (c *SSEClient) start(ctx context.Context) (*stream, error) {
	c.mu.Lock()
	switch c.state {
	case stateConnecting, stateRunning:
		c.mu.Unlock()
		return nil, ErrConnected
	case stateEnded:
		c.mu.Unlock()
		return nil, ErrDisconnected
	}
	c.state = stateConnecting
	c.mu.Unlock()

	s, err := c.dial(ctx)

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil { // Disconnect has left it to us
		if err == nil {
			s.close()
		}
		c.state = stateEnded
		close(c.done)
		return nil, ErrDisconnected
	}
	if err != nil {
		c.state = stateIdle
		return nil, err
	}
	c.state = stateRunning
	return s, nil
}

// end takes the client from running to ended.
func (c *SSEClient) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	c.state = stateEnded
	c.disconnect()
	close(c.done)
}
