//go:build linux

package main

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/bench/peers/internal/peer"
)

func TestMain(m *testing.M) {
	rig.Main(peer.Catalog())
	os.Exit(m.Run())
}

// Works that only publish fill all columns of their tables, with nothing that went wrong.
func TestWorksFillTheirTables(t *testing.T) {
	for i := range works {
		w := &works[i]
		if !slices.Contains([]string{"kilobyte", "unicast"}, w.name) {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			s, err := w.run("spate", options{short: true, span: 200 * time.Millisecond})
			require.NoError(t, err)
			require.Empty(t, s.fault)
			require.Len(t, s.values, len(w.columns))
			require.Positive(t, s.counts.Deliveries)
		})
	}
}
