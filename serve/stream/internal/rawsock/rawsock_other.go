//go:build !linux

package rawsock

import (
	"errors"
	"net"
	"time"
)

// Conn does not exist on this system; see [Take].
type Conn struct{}

// Take fails with [errors.ErrUnsupported].
func Take(net.Conn, time.Duration) (*Conn, error) { return nil, errors.ErrUnsupported }

// TakeReading fails with [errors.ErrUnsupported].
func TakeReading(net.Conn, time.Duration) (*Conn, error) { return nil, errors.ErrUnsupported }

// Lingering is 0.
func Lingering() int { return 0 }

// Supported reports whether [Take] can succeed on this system.
func Supported() bool { return false }

// Watch does nothing.
func (c *Conn) Watch(Waker) {}

// Write fails with [errors.ErrUnsupported].
func (c *Conn) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Read fails with [errors.ErrUnsupported].
func (c *Conn) Read([]byte) (int, bool, error) { return 0, false, errors.ErrUnsupported }

// Close does nothing.
func (c *Conn) Close(bool) {}
