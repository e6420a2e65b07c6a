//go:build !linux

package rawsock

import "errors"

// Batch does not exist on this system; see [NewBatch].
type Batch struct{}

// NewBatch fails with [errors.ErrUnsupported].
func NewBatch(int) (*Batch, error) { return nil, errors.ErrUnsupported }

// Add does nothing.
func (b *Batch) Add(*Conn, []byte) {}

// Send does nothing.
func (b *Batch) Send(func(i, n int, err error)) {}

// Close does nothing.
func (b *Batch) Close() {}
