package persist_test

import (
	"testing"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/persisttest"
)

func TestConformance(t *testing.T) {
	t.Run("Memory", func(t *testing.T) {
		persisttest.TestLog(t, func(*testing.T) persist.Log { return persist.NewMemory() })
	})
	t.Run("FromStore", func(t *testing.T) {
		persisttest.TestLog(t, func(*testing.T) persist.Log { return persist.FromStore(new(mapStore)) })
	})
}

// TestStoreConformance holds that plain Stores work, whatever their quirks.
func TestStoreConformance(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) persist.Store{
		"map":             func(*testing.T) persist.Store { return new(mapStore) },
		"shuffled":        func(*testing.T) persist.Store { return new(shuffled) },
		"seed":            func(*testing.T) persist.Store { return new(seedStore) },
		"seed/inclusive":  func(*testing.T) persist.Store { return &seedStore{inclusive: true} },
		"seed/capped":     func(*testing.T) persist.Store { return &seedStore{capped: 3, noNext: true} },
		"seed/everything": func(*testing.T) persist.Store { return &seedStore{capped: 3, inclusive: true} },
		"Memory":          func(*testing.T) persist.Store { return persist.NewMemory() },
	} {
		t.Run(name, func(t *testing.T) { persisttest.TestStore(t, open) })
	}
}
