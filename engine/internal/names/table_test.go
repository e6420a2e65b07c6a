package names

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type thing struct{ name string }

func (t *thing) Name() string { return t.name }

// A table says the same as a map, whatever comes and goes.
func TestTableIsAMap(t *testing.T) {
	seed := rand.Uint64()
	if s := os.Getenv("SPATETEST_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("replay with SPATETEST_SEED=%d go test -run '^%s$' ./engine/internal/names", seed, t.Name())
	rng := rand.New(rand.NewPCG(seed, 0))
	var x Table[*thing]
	m := map[string]*thing{}
	for _, phase := range []struct{ names, steps, drops int }{{50, 2000, 5}, {20_000, 60_000, 2}, {20_000, 60_000, 8}, {300, 3000, 5}} {
		for range phase.steps {
			name := fmt.Sprint("n", rng.IntN(phase.names))
			if rng.IntN(10) < phase.drops {
				x.Drop(name)
				delete(m, name)
			} else {
				v := &thing{name}
				x.Put(v)
				m[name] = v
			}
			name = fmt.Sprint("n", rng.IntN(phase.names))
			require.Same(t, m[name], x.Get(name), "%s", name)
		}
		require.Equal(t, len(m), x.Len())
		require.Nil(t, x.Get("nobody"))
		all := map[string]*thing{}
		for v := range x.All() {
			require.Nil(t, all[v.name], "yielded twice")
			all[v.name] = v
		}
		require.Equal(t, m, all)
		for name, v := range m {
			require.Same(t, v, x.Get(name))
		}
	}
}

// Names whose hashes have more first bits in common than parts tell apart are kept all the same.
func TestHashesInCommon(t *testing.T) {
	p := &part[*thing]{depth: maxDepth}
	for i := range 3 * fullPart {
		p.add(uint32(1+i%7), &thing{fmt.Sprint(i)})
	}
	for i := range 3 * fullPart {
		at := p.find(uint32(1+i%7), fmt.Sprint(i))
		require.GreaterOrEqual(t, at, 0)
		require.Equal(t, fmt.Sprint(i), p.values[at].name)
	}
	for i := range 3 * fullPart {
		p.remove(p.find(uint32(1+i%7), fmt.Sprint(i)))
		require.Negative(t, p.find(uint32(1+i%7), fmt.Sprint(i)))
	}
	require.Zero(t, p.n)
	require.LessOrEqual(t, len(p.hashes), 8)
}

// No part is ever larger than its bound, which is what a call may take.
func TestPartsAreSmall(t *testing.T) {
	var x Table[*thing]
	for i := range 100_000 {
		x.Put(&thing{fmt.Sprint(i)})
	}
	for _, p := range x.parts {
		require.LessOrEqual(t, p.n, fullPart)
		require.Less(t, len(p.hashes), 2*fullPart)
	}
}

// A table takes some 16 bytes for a name, and gives nearly all of it back.
func TestTableIsSmall(t *testing.T) {
	const n = 200_000
	things := make([]thing, n)
	for i := range things {
		things[i].name = fmt.Sprint(i)
	}
	var x Table[*thing]
	before := heap()
	for i := range things {
		x.Put(&things[i])
	}
	full := heap() - before
	require.Less(t, full, int64(n*19), "%d bytes for each", full/n)
	for i := range n - 100 {
		x.Drop(things[i].name)
	}
	left := heap() - before
	require.Less(t, left, full/20, "%d bytes of %d are left", left, full)
	require.Same(t, &things[n-1], x.Get(things[n-1].name))
	runtime.KeepAlive(things)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkGet(b *testing.B) {
	const n = 100_000
	names := make([]string, n)
	var x Table[*thing]
	m := map[string]*thing{}
	for i := range names {
		names[i] = fmt.Sprint("user-", i)
		v := &thing{names[i]}
		x.Put(v)
		m[names[i]] = v
	}
	for _, way := range []struct {
		name string
		get  func(string) *thing
	}{{"table", x.Get}, {"map", func(s string) *thing { return m[s] }}} {
		b.Run(way.name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				if way.get(names[i]) == nil {
					b.Fatal("is not there")
				}
				if i += 7919; i >= n {
					i -= n
				}
			}
		})
	}
}
