package client

// State is where a client is in its life.
type State int

// idle → connecting → open ⇄ waiting → ended. Back to idle when the first
// connection fails, straight to ended by Disconnect, and from waiting to
// connecting for each attempt.
const (
	StateIdle       State = iota // not started
	StateConnecting              // a request is under way
	StateOpen                    // the server has accepted, events come
	StateWaiting                 // before the next attempt
	StateEnded                   // for good
)

// String returns the state's name, such as "open".
func (s State) String() string {
	switch s {
	case StateIdle:
		return "idle"
	case StateConnecting:
		return "connecting"
	case StateOpen:
		return "open"
	case StateWaiting:
		return "waiting"
	case StateEnded:
		return "ended"
	}
	return "unknown"
}

// State says where the client is. By the time that it is looked at, it may be
// elsewhere.
func (c *SSEClient) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

func (c *SSEClient) setState(s State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = s
}
