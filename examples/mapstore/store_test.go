package main

import (
	"testing"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/persisttest"
)

// TestMapStore runs the conformance kit, as anybody with a store of their own should.
func TestMapStore(t *testing.T) {
	persisttest.TestStore(t, func(*testing.T) persist.Store { return NewMapStore() })
}
