package persist

import (
	"slices"
	"strings"

	"github.com/spatehub/spate/wire"
)

// TopicSet tells which topics a reader follows that names topics and patterns, as
// [Query.Topics] and Floor have them. It does not change.
type TopicSet struct {
	exact []string // sorted
	wild  []wire.Pattern
}

// NewTopicSet returns the set. What is neither a topic nor a pattern is a topic that
// no record has.
func NewTopicSet(topics []string) TopicSet {
	var t TopicSet
	for _, s := range topics {
		if p, wild := wildPattern(s); wild {
			t.wild = append(t.wild, p)
		} else if s != "" {
			t.exact = append(t.exact, s)
		}
	}
	slices.Sort(t.exact)
	return t
}

// NewPatternSet returns the set of the patterns with wildcards among them alone.
func NewPatternSet(topics []string) TopicSet {
	var t TopicSet
	for _, s := range topics {
		if p, wild := wildPattern(s); wild {
			t.wild = append(t.wild, p)
		}
	}
	return t
}

// Wild reports whether the set has patterns with wildcards.
func (t *TopicSet) Wild() bool { return len(t.wild) > 0 }

// Exact are the topics that are named, sorted. The caller must not change them.
func (t *TopicSet) Exact() []string { return t.exact }

// Follows reports whether the topic is one of the set's.
func (t *TopicSet) Follows(topic string) bool {
	if _, named := slices.BinarySearch(t.exact, topic); named {
		return topic != ""
	}
	return t.FollowsByPattern(topic)
}

// FollowsByPattern reports whether the topic is in one of the set's patterns.
func (t *TopicSet) FollowsByPattern(topic string) bool {
	for _, p := range t.wild {
		if p.Match(topic) {
			return true
		}
	}
	return false
}

// Ranges returns what of an index that is sorted by topic is enough to find the topics of
// the set: those that begin with one of the prefixes, and the others by name. Prefixes
// and names are sorted, and no topic is in two of them. Where a prefix is not of a
// pattern that ends in a ">", it has topics that [TopicSet.Follows] does not report. ok
// is false where a pattern begins with a wildcard and selects, so that all topics would
// have to be looked at.
func (t *TopicSet) Ranges() (prefixes, names []string, ok bool) {
	for _, p := range t.wild {
		prefix, dense := p.Prefix()
		if prefix == "" && !dense {
			return nil, nil, false
		}
		prefixes = append(prefixes, prefix)
	}
	slices.Sort(prefixes)
	// What another one begins is in the range of that, which sorts before it.
	n := 0
	for _, p := range prefixes {
		if n == 0 || !strings.HasPrefix(p, prefixes[n-1]) {
			prefixes[n] = p
			n++
		}
	}
	prefixes = prefixes[:n]
	for _, name := range slices.Compact(slices.Clone(t.exact)) {
		i, found := slices.BinarySearch(prefixes, name)
		if !found && (i == 0 || !strings.HasPrefix(name, prefixes[i-1])) {
			names = append(names, name)
		}
	}
	return prefixes, names, true
}

// wildPattern returns the pattern that s writes, and whether it has wildcards.
func wildPattern(s string) (wire.Pattern, bool) {
	if !strings.ContainsAny(s, "*>") {
		return wire.Pattern{}, false // nearly all
	}
	p, err := wire.ParsePattern(s)
	return p, err == nil && p.Wild()
}
