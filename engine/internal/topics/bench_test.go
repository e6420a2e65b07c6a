package topics

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spatehub/spate/wire"
)

// crowd is an index of subscribers to 100,000 topics, each of which follows one topic or, every tenth, a pattern: half of those patterns have one topic's
// tokens but for a star, half end in ">".
func crowd(b *testing.B, topics, subscribers int) (*Index[*follower], []string) {
	b.Helper()
	names := make([]string, topics)
	for i := range names {
		names[i] = fmt.Sprintf("site%d.device%d.temperature", i/100, i%100)
	}
	x := new(Index[*follower])
	for i := range subscribers {
		s := names[i%topics]
		switch {
		case i%20 == 0:
			tokens := strings.Split(s, ".")
			s = tokens[0] + "." + tokens[1] + ".*"
		case i%20 == 10:
			s = s[:strings.LastIndexByte(s, '.')] + ".>"
		}
		p, err := wire.ParsePattern(s)
		if err != nil {
			b.Fatal(err)
		}
		x.Add(p, newFollower(i, 1), 0)
	}
	return x, names
}

// BenchmarkFind: an event of a topic that one subscriber follows, among ever more that it does not reach.
func BenchmarkFind(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprintf("%dx%d", n, n), func(b *testing.B) {
			x, names := crowd(b, n, n)
			var sets []*Set[*follower]
			reached, i := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				sets = x.AppendSets(sets[:0], names[i])
				for _, set := range sets {
					reached += len(set.Entries())
				}
				if i++; i == len(names) {
					i = 0
				}
			}
			b.ReportMetric(float64(reached)/float64(b.N), "reached/op")
		})
	}
}

// BenchmarkFindWorst: patterns made to cost an event the most that it can.
func BenchmarkFindWorst(b *testing.B) {
	x := new(Index[*follower])
	var add func(done string, tokens, stars int)
	add = func(done string, tokens, stars int) {
		if tokens == wire.MaxPatternTokens-1 {
			p, err := wire.ParsePattern(done + "x")
			if err != nil {
				b.Fatal(err)
			}
			x.Add(p, newFollower(0, 1), 0)
			return
		}
		add(done+"a.", tokens+1, stars)
		if stars < wire.MaxPatternStars {
			add(done+"*.", tokens+1, stars+1)
		}
	}
	add("", 0, 0)
	topic := strings.Repeat("a.", wire.MaxPatternTokens-1) + "y"
	b.ReportAllocs()
	for b.Loop() {
		if x.Has(topic) {
			b.Fatal("nobody follows it")
		}
	}
}

// BenchmarkJoinLeave: one more subscriber comes and goes.
func BenchmarkJoinLeave(b *testing.B) {
	for _, s := range []string{"site7.device7.temperature", "site7.new.*", "site7.new.*.x.>"} {
		b.Run(s, func(b *testing.B) {
			x, _ := crowd(b, 100_000, 100_000)
			p, err := wire.ParsePattern(s)
			if err != nil {
				b.Fatal(err)
			}
			f := newFollower(0, 1)
			b.ReportAllocs()
			for b.Loop() {
				x.Add(p, f, 0)
				x.Remove(f, 0)
			}
		})
	}
}
