package main

import (
	"fmt"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
)

// rings makes the hub's io_urings, and keeps why there is none: who asks for them is to
// have one for each shard.
type rings struct{ err error }

// options are the engine's.
func (r *rings) options(wanted bool) []engine.HubOption {
	if !wanted {
		return nil
	}
	return []engine.HubOption{engine.WithBatchWriter(r.open)}
}

func (r *rings) open() (engine.BatchWriter, error) {
	w, err := stream.IOUring()
	if err != nil {
		r.err = fmt.Errorf("--io-uring: %w", err)
	}
	return w, err
}
