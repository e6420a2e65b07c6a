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

// wildPattern returns the pattern that s writes, and whether it has wildcards.
func wildPattern(s string) (wire.Pattern, bool) {
	if !strings.ContainsAny(s, "*>") {
		return wire.Pattern{}, false // nearly all
	}
	p, err := wire.ParsePattern(s)
	return p, err == nil && p.Wild()
}
