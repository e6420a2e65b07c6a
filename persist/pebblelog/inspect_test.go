package pebblelog_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/persist/internal/logtest"
	"github.com/spatehub/spate/persist/pebblelog"
)

// manifestOf returns a file in the form of a manifest, with records of these sizes.
func manifestOf(t testing.TB, rng *rand.Rand, sizes ...int) []byte {
	t.Helper()
	var file bytes.Buffer
	w := record.NewWriter(&file)
	for _, n := range sizes {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		_, err := w.WriteRecord(data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return file.Bytes()
}

// TestTornManifest holds that damage before the end of a manifest is found, and that
// what a power cut leaves at its end is none.
func TestTornManifest(t *testing.T) {
	rng := logtest.Seeded(t, "persist/pebblelog")
	for range 50 {
		file := manifestOf(t, rng, 100, rng.IntN(100_000), 50, rng.IntN(40_000), 30, 20)
		require.False(t, pebblelog.Torn(file))
		require.False(t, pebblelog.Torn(append(bytes.Clone(file), make([]byte, rng.IntN(5000))...)), "zeros")
		require.False(t, pebblelog.Torn(file[:len(file)-1-rng.IntN(20)]), "cut off")
		damaged := bytes.Clone(file)
		damaged[rng.IntN(len(file)-100)] ^= 1 << rng.IntN(8)
		require.True(t, pebblelog.Torn(damaged))
	}
	dir := inTables(t, 100)
	manifest, err := os.ReadFile(one(t, dir, "MANIFEST-*"))
	require.NoError(t, err)
	require.False(t, pebblelog.Torn(manifest))
}

// FuzzFiles holds that no bytes of a manifest or a mark, whatever they are, make their
// readers fail or invent what can't be.
func FuzzFiles(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	f.Add(manifestOf(f, rng, 10, 20, 30))
	f.Add(make([]byte, pebblelog.MarkSize))
	f.Fuzz(func(t *testing.T, data []byte) {
		pebblelog.Torn(data)
		full := make([]byte, pebblelog.MarkSize)
		copy(full, data)
		ids := pebblelog.MarkPoints(full)
		for i := range ids {
			require.NotZero(t, ids[i])
			require.LessOrEqual(t, ids[i], ids[len(ids)-1])
		}
	})
}
