//go:build !unix

package stream

// descriptorLimit: none is known.
func descriptorLimit() (limit int, ok bool) { return 0, false }

// lowestDescriptor is never asked for.
func lowestDescriptor() (int, error) { return 0, errNoDescriptor }
