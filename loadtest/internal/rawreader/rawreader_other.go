//go:build !linux

// Package rawreader needs epoll; here it only says so.
package rawreader

import (
	"errors"

	"github.com/spatehub/spate/loadtest/internal/fleet"
)

// New fails: there is no raw reader on this system.
func New(*fleet.Part, *fleet.Addresses) (fleet.Transport, error) {
	return nil, errors.New("-mode raw needs Linux: use -mode portable")
}
