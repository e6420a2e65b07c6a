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
	peer.Main()
	rig.Main(peer.Catalog())
	os.Exit(m.Run())
}

// Works that only publish fill all columns of their tables, with nothing that went wrong.
func TestWorksFillTheirTables(t *testing.T) {
	for i := range works {
		w := &works[i]
		tried := []string{"json", "unicast"}
		if os.Getenv("SPATETEST_PEERS") != "" { // as make interop sets it
			tried = append(tried, "many", "resume", "churn", "tls", "gzip")
		}
		if !slices.Contains(tried, w.name) {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			span := 200 * time.Millisecond
			if w.name == "many" { // its events come every half second
				span = time.Second
			}
			s, err := w.run("spate-log", options{short: true, span: span})
			require.NoError(t, err)
			require.Empty(t, s.fault)
			require.Len(t, s.values, len(w.columns))
			require.Positive(t, s.counts.Deliveries)
		})
	}
}
