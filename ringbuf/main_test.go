package ringbuf_test

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newSeed returns the seed of a random test: SPATETEST_SEED if set, else a fresh
// one. A failing test prints the command that repeats its decisions (not the
// scheduler's).
func newSeed(t testing.TB) uint64 {
	seed := rand.Uint64()
	if s := os.Getenv("SPATETEST_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err, "SPATETEST_SEED")
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("replay: SPATETEST_SEED=%d go test -race -run '^%s$' ./ringbuf", seed, t.Name())
		}
	})
	return seed
}

// newRand returns the i-th stream of random numbers of a seed.
func newRand(seed, i uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, i)) }

// newDeadline returns a context that ends long after a sound test does, so
// that a lost wake-up fails its test with a message instead of hanging it.
func newDeadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// starts are sequences to begin at: the ordinary one, and those from which a
// test passes the wrap-around of uint64 and of its sign, and of the 32 bits that
// a claim moves and of theirs.
var starts = []uint64{0, ^uint64(0) - 5, 1<<63 - 6, 1<<32 - 7, 1<<31 - 4}
