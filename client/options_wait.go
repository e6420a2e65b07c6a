package client

import (
	"fmt"
	"time"
)

// waitConfig says when to connect, and when to give up.
type waitConfig struct {
	delay       time.Duration
	interval    time.Duration
	maxBackoff  time.Duration
	stable      time.Duration
	maxTries    int           // 0: any number
	maxDowntime time.Duration // 0: any time
	retryFirst  bool
	never       bool // no second connection
}

// WithReconnectInterval sets the shortest wait before a connection is made again;
// it holds until the server tells another by "retry:", which holds from then on.
// A random time comes on top, see [WithMaxBackoff]. 0 makes the first attempt
// come at once. The default is [DefaultReconnectInterval].
func WithReconnectInterval(d time.Duration) Option {
	return func(c *config) {
		c.life = append(c.life, "WithReconnectInterval")
		if d < 0 {
			c.fault("WithReconnectInterval", fmt.Sprintf("(%v): must not be negative", d))
			return
		}
		c.waits.interval = min(d, MaxWait)
	}
}

// WithMaxBackoff bounds the random time that is added to the reconnect interval:
// it is between 0 and a bound that begins at the interval, doubles with each
// attempt that fails up to d, and begins anew after a healthy connection. The
// default is [DefaultMaxBackoff]; a day is the most.
func WithMaxBackoff(d time.Duration) Option {
	return func(c *config) {
		c.life = append(c.life, "WithMaxBackoff")
		c.positive("WithMaxBackoff", d)
		c.waits.maxBackoff = min(d, MaxWait)
	}
}

// WithStableTime says when a connection counts as healthy, so that waits and
// tries begin anew: once it has brought an event, or has been open for d. The
// default is [DefaultStableTime].
func WithStableTime(d time.Duration) Option {
	return func(c *config) {
		c.life = append(c.life, "WithStableTime")
		c.positive("WithStableTime", d)
		c.waits.stable = d
	}
}

// WithMaxTries ends the client with a [GiveUpError] when n attempts in a row have
// not led to a healthy connection. By default it goes on for ever.
func WithMaxTries(n int) Option {
	return func(c *config) {
		c.life = append(c.life, "WithMaxTries")
		if n <= 0 {
			c.fault("WithMaxTries", fmt.Sprintf("(%d): must be above 0", n))
			return
		}
		c.waits.maxTries = n
	}
}

// WithMaxDowntime ends the client with a [GiveUpError] rather than try again
// later than d after it had its last healthy connection. By default it goes on
// for ever.
func WithMaxDowntime(d time.Duration) Option {
	return func(c *config) {
		c.life = append(c.life, "WithMaxDowntime")
		c.positive("WithMaxDowntime", d)
		c.waits.maxDowntime = d
	}
}

// WithRetryFirst makes the client try again also where the first connection can't
// be made: Connect then blocks until there is one, or the client ends. By default
// Connect and Events return why it failed.
func WithRetryFirst() Option {
	return func(c *config) { c.life = append(c.life, "WithRetryFirst"); c.waits.retryFirst = true }
}

// WithInitialDelay makes the client wait for d before its first connection, so
// that the parts of a program that is started on many machines at once can be
// spread. By default it does not wait.
func WithInitialDelay(d time.Duration) Option {
	return func(c *config) {
		c.life = append(c.life, "WithInitialDelay")
		if d < 0 {
			c.fault("WithInitialDelay", fmt.Sprintf("(%v): must not be negative", d))
		}
		c.waits.delay = d
	}
}

// WithoutReconnect makes the client end with its first connection, for streams
// that are finite: without an error where the server ended it, with one where it
// broke or was cut in the middle of an event. [Do] is the shorter way where one
// loop is all that is needed.
func WithoutReconnect() Option {
	return func(c *config) { c.life = append(c.life, "WithoutReconnect"); c.waits.never = true }
}
