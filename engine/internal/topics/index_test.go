package topics

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// follower is a member with places for some patterns.
type follower struct {
	name int
	refs []Ref[*follower]
}

func (f *follower) TopicRef(slot int32) *Ref[*follower] { return &f.refs[slot] }

func newFollower(name, slots int) *follower {
	return &follower{name: name, refs: make([]Ref[*follower], slots)}
}

func pattern(t testing.TB, s string) wire.Pattern {
	t.Helper()
	p, err := wire.ParsePattern(s)
	require.NoError(t, err, "%q", s)
	return p
}

// reached returns the followers of the sets of a topic by name, one for each set.
func reached(x *Index[*follower], topic string) []int {
	var names []int
	for _, set := range x.AppendSets(nil, topic) {
		for _, e := range set.Entries() {
			names = append(names, e.Member.name)
		}
	}
	slices.Sort(names)
	return names
}

func TestIndex(t *testing.T) {
	var x Index[*follower]
	for i, s := range []string{"a", "a.b", "a.*", "a.>", ">", "*", "*.b", "a.*.c", "a.b.>", "a.b"} {
		x.Add(pattern(t, s), newFollower(i, 1), 0)
	}
	for topic, want := range map[string][]int{
		"a":     {0, 4, 5},
		"b":     {4, 5},
		"a.b":   {1, 2, 3, 4, 6, 9},
		"a.":    {2, 3, 4},
		"a.c":   {2, 3, 4},
		"x.b":   {4, 6},
		"a.b.c": {3, 4, 7, 8},
		"a..c":  {3, 4, 7},
		"":      nil,
	} {
		require.Equal(t, want, reached(&x, topic), topic)
		require.Equal(t, want != nil, x.Has(topic), topic)
	}
	exact, wild := x.Patterns()
	require.Equal(t, 2, exact)
	require.Equal(t, 7, wild)
}

// TestIndexModel: after any additions and removals the index tells whom a dumb twin tells, and what is empty is gone. (Invariant 4.)
func TestIndexModel(t *testing.T) {
	seed := rand.Uint64()
	if v := os.Getenv("SPATETEST_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		require.NoError(t, err)
		seed = n
	}
	t.Logf("replay with SPATETEST_SEED=%d go test -run '^%s$' ./engine/internal/topics", seed, t.Name())
	rnd := rand.New(rand.NewPCG(seed, 0))
	const slots = 4
	token := func(wild bool) string {
		if n := rnd.IntN(6); n < 2 && wild {
			return "*"
		}
		return []string{"a", "b", "", "c*"}[rnd.IntN(4)]
	}
	random := func(wild bool) string {
		list := make([]string, 1+rnd.IntN(4))
		for i := range list {
			list[i] = token(wild)
		}
		if wild && rnd.IntN(3) == 0 {
			list[len(list)-1] = ">"
		}
		return strings.Join(list, ".")
	}
	type place struct {
		f    *follower
		slot int32
	}
	var x Index[*follower]
	twin := map[place]wire.Pattern{}
	followers := make([]*follower, 30)
	for i := range followers {
		followers[i] = newFollower(i, slots)
	}
	for step := range 20_000 {
		at := place{followers[rnd.IntN(len(followers))], rnd.Int32N(slots)}
		if _, there := twin[at]; there {
			x.Remove(at.f, at.slot)
			require.Zero(t, *at.f.TopicRef(at.slot))
			delete(twin, at)
		} else if s := random(rnd.IntN(3) > 0); s != "" {
			p := pattern(t, s)
			x.Add(p, at.f, at.slot)
			twin[at] = p
		}
		if step%1000 == 999 { // down to nothing, now and then
			for at := range twin {
				x.Remove(at.f, at.slot)
				x.Remove(at.f, at.slot) // and a second time: nothing
			}
			clear(twin)
			require.Zero(t, x.exact.Len())
			require.Zero(t, x.tree.sets)
			require.Empty(t, x.tree.edges.m)
			require.Equal(t, node[*follower]{}, x.tree.root)
		}
		topic := random(false)
		var want []int
		for at, p := range twin {
			if p.Match(topic) {
				want = append(want, at.f.name)
			}
		}
		slices.Sort(want)
		require.Equal(t, want, reached(&x, topic), "step %d, topic %q", step, topic)
		require.Equal(t, len(want) > 0, x.Has(topic))
	}
}

// heap is what is in use, once what is not has been collected.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// An index that had very many topics and patterns once holds memory for those that it has. (Invariant 5.)
func TestMemoryIsGivenBack(t *testing.T) {
	var x Index[*follower]
	const many, few = 50_000, 50
	before := heap()
	stay := newFollower(0, few)
	for i := range int32(few) {
		x.Add(pattern(t, fmt.Sprintf("stay.%d", i)), stay, i)
	}
	gone := newFollower(1, 3*many)
	for i := range int32(many) {
		x.Add(pattern(t, fmt.Sprintf("exact.%d", i)), gone, 3*i)
		x.Add(pattern(t, fmt.Sprintf("wild.%d.*.x", i)), gone, 3*i+1)
		x.Add(pattern(t, "crowd"), gone, 3*i+2)
	}
	full := heap() - before
	for i := range int32(3 * many) {
		x.Remove(gone, i)
	}
	gone = nil
	left := heap() - before
	require.Greater(t, full, int64(10<<20))
	require.Less(t, left, int64(256<<10), "of %d", full)
	require.Equal(t, []int{0}, reached(&x, "stay.7"))
	runtime.KeepAlive(stay)
}

// (Invariant 8.)
func TestFindAllocatesNothing(t *testing.T) {
	var x Index[*follower]
	for i, s := range []string{"a.b.c", "a.*.c", "a.>", ">", "*.b.*"} {
		x.Add(pattern(t, s), newFollower(i, 1), 0)
	}
	dst := make([]*Set[*follower], 0, 8)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		dst = x.AppendSets(dst[:0], "a.b.c")
		if len(dst) != 5 || !x.Has("a.b.c") {
			panic("wrong")
		}
	}))
}

// However the patterns are made, a search comes to a bounded number of nodes: here all that have one text or a star at each of their places.
func TestSearchIsBounded(t *testing.T) {
	var tree trie[*follower]
	longest := strings.Repeat("a.", wire.MaxPatternTokens-1)
	var add func(done string, tokens, stars int)
	add = func(done string, tokens, stars int) {
		if tokens == wire.MaxPatternTokens-1 {
			tree.set(pattern(t, done+"x"))
			return
		}
		add(done+"a.", tokens+1, stars)
		if stars < wire.MaxPatternStars {
			add(done+"*.", tokens+1, stars+1)
		}
	}
	add("", 0, 0)
	visited := 0
	var walk func(n *node[*follower], topic string)
	walk = func(n *node[*follower], topic string) {
		visited++
		token, rest, more := strings.Cut(topic, ".")
		if !more {
			return
		}
		for _, next := range []*node[*follower]{tree.edges.get(edge[*follower]{n, token}), n.star} {
			if next != nil {
				walk(next, rest)
			}
		}
	}
	walk(&tree.root, longest+"y")
	require.Empty(t, tree.find(nil, &tree.root, longest+"y"))
	require.Less(t, visited, 10_000)
	t.Logf("%d patterns, %d nodes on the way", tree.sets, visited)
}
