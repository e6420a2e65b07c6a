package cluster_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/cluster"
)

// A nil option is passed over, as everywhere.
func TestNilOptions(t *testing.T) {
	require.NotPanics(t, func() { cluster.NewNode(&scripted{}, nil) })
}
