package persist_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist"
)

// A nil option is passed over, as everywhere; a nil Store is said where it is given,
// not by the first event.
func TestNilOptionsAndStores(t *testing.T) {
	require.NoError(t, persist.NewMemory(nil, persist.WithLogger(nil), nil).Close())
	require.PanicsWithValue(t, "persist: FromStore of a nil Store", func() { persist.FromStore(nil) })
}
