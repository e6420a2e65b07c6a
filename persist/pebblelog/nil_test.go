package pebblelog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist/pebblelog"
)

// A nil option is passed over, as everywhere.
func TestNilOptions(t *testing.T) {
	log, err := pebblelog.Open(t.TempDir(), nil, pebblelog.WithSync(false), nil)
	require.NoError(t, err)
	require.NoError(t, log.Close())
}
