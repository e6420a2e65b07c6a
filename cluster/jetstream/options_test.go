package jetstream

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A nil option is passed over, as everywhere.
func TestNilOptions(t *testing.T) {
	require.Equal(t, DefaultStream, newConfig([]Option{nil}).name)
}
