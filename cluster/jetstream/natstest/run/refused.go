package main

import (
	"errors"
	"syscall"
)

// isRefused says that nobody listened, so that nothing was published.
func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
