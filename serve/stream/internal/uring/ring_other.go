//go:build !linux

package uring

import "errors"

// Ring does not exist on this system; see [New].
type Ring struct{}

// New fails with [errors.ErrUnsupported].
func New(int) (*Ring, error) { return nil, errors.ErrUnsupported }
