//go:build !linux

package rawsock

import "errors"

// Batch does not exist on this system; see [NewBatch].
type Batch struct{}

// NewBatch fails with [errors.ErrUnsupported].
func NewBatch(int) (*Batch, error) { return nil, errors.ErrUnsupported }

// Add adds nothing.
func (b *Batch) Add(*Conn, []byte) bool { return false }

// Send does nothing.
func (b *Batch) Send(func(i, n int, err error)) error { return nil }

// Close does nothing.
func (b *Batch) Close() {}
