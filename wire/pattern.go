package wire

import (
	"fmt"
	"strings"
)

// The wildcards of a [Pattern], each a whole token.
const (
	anyToken = "*" // one token, whatever it is
	anyRest  = ">" // one token or more, to the end
)

// Bounds of a pattern that has wildcards. With them an event is matched against
// any number of patterns in a bounded number of steps: an index of patterns has
// at most one place for each choice of which of a topic's tokens are wildcards.
const (
	MaxPatternTokens = 16 // tokens, a ">" at the end included
	MaxPatternStars  = 4  // tokens that are "*"
)

// Pattern is one topic, or a set of topics in the form of NATS. The tokens of a
// topic are what lies between its dots; any of them may be empty. In a pattern
// the token "*" stands for any one token, and ">", the last one, for one or more:
// "orders.*.eu" has orders.7.eu, "orders.>" has orders.7 and orders.7.eu but not
// orders. A text without either is that topic alone, and "*" and ">" inside of
// longer tokens mean themselves.
//
// Events without a topic are in no pattern.
//
// A Pattern is comparable and never changes. The zero value has no topic.
type Pattern struct {
	text string // of one with wildcards after wildMark: a flag would cost each of millions eight bytes
}

// wildMark is what no name may have.
const wildMark = '\x00'

// ParsePattern returns the pattern that s writes. What no topic could match, or
// what is beyond the bounds ([MaxNameLen] for all, [MaxPatternTokens] and
// [MaxPatternStars] for patterns with wildcards), is refused with a
// [*FieldError] about "topic".
func ParsePattern(s string) (Pattern, error) {
	if s == "" {
		return Pattern{}, &FieldError{Field: "topic", Reason: "is empty"}
	}
	if err := checkName("topic", s); err != nil {
		return Pattern{}, err
	}
	tokens, stars, wild := 0, 0, false
	for token, rest, more := "", s, true; more; tokens++ {
		token, rest, more = strings.Cut(rest, ".")
		switch {
		case token == anyToken:
			stars++
			wild = true
		case token == anyRest && more:
			return Pattern{}, &FieldError{Field: "topic", Reason: `has a token ">" that is not the last`}
		case token == anyRest:
			wild = true
		}
	}
	switch {
	case !wild:
	case tokens > MaxPatternTokens:
		return Pattern{}, &FieldError{Field: "topic", Reason: fmt.Sprintf("has wildcards and more than %d tokens", MaxPatternTokens)}
	case stars > MaxPatternStars:
		return Pattern{}, &FieldError{Field: "topic", Reason: fmt.Sprintf(`has more than %d tokens "*"`, MaxPatternStars)}
	}
	if wild {
		s = string(wildMark) + s
	}
	return Pattern{s}, nil
}

// TopicPattern is the pattern of one topic, which an event could be pushed to.
// The error is that of [Event.Validate].
func TopicPattern(topic string) (Pattern, error) {
	if topic == "" {
		return Pattern{}, &FieldError{Field: "topic", Reason: "is empty"}
	}
	if err := checkTopic(topic); err != nil {
		return Pattern{}, err
	}
	return Pattern{topic}, nil
}

// checkTopic refuses what an event can't have as its topic: beside what no name
// may be, a wildcard, which a connection could not follow without following more.
func checkTopic(topic string) error {
	if err := checkName("topic", topic); err != nil {
		return err
	}
	if strings.IndexByte(topic, anyToken[0]) < 0 && strings.IndexByte(topic, anyRest[0]) < 0 {
		return nil // nearly all
	}
	for token, rest, more := "", topic, true; more; {
		token, rest, more = strings.Cut(rest, ".")
		if token == anyToken || token == anyRest {
			return &FieldError{Field: "topic", Reason: fmt.Sprintf("has the token %q: events go to topics, not to patterns", token)}
		}
	}
	return nil
}

// String is the pattern as it was written.
func (p Pattern) String() string {
	if p.Wild() {
		return p.text[1:]
	}
	return p.text
}

// Wild reports whether the pattern has a wildcard. One without is its text's
// topic.
func (p Pattern) Wild() bool { return p.text != "" && p.text[0] == wildMark }

// Clone returns the pattern with a text of its own, which holds on to nothing
// that it was cut from.
func (p Pattern) Clone() Pattern { return Pattern{strings.Clone(p.text)} }

// Prefix is what every topic of the pattern begins with: all before the first
// wildcard. dense says that every topic that begins so is in the pattern, whose
// only wildcard then is a ">": a range of sorted topics is all that it takes.
func (p Pattern) Prefix() (prefix string, dense bool) {
	if !p.Wild() {
		return p.text, false
	}
	text := p.String()
	for at := 0; ; {
		token, _, more := strings.Cut(text[at:], ".")
		if token == anyToken || token == anyRest && !more {
			return text[:at], token == anyRest
		}
		at += len(token) + 1
	}
}

// Match reports whether the topic is in the pattern. It allocates nothing.
func (p Pattern) Match(topic string) bool {
	if !p.Wild() {
		return p.text == topic && topic != ""
	}
	if topic == "" {
		return false
	}
	want, got := p.String(), topic
	for {
		w, wants := cut(want)
		if wants < 0 && w == anyRest {
			return true
		}
		g, gots := cut(got)
		if w != anyToken && w != g {
			return false
		}
		if wants < 0 || gots < 0 {
			return wants < 0 && gots < 0
		}
		want, got = want[wants:], got[gots:]
	}
}

// Contains reports whether every topic of q is in p. The zero Pattern contains
// nothing and is in nothing. It allocates nothing.
func (p Pattern) Contains(q Pattern) bool {
	if !q.Wild() {
		return p.Match(q.text)
	}
	if !p.Wild() {
		return false // q has more than one topic
	}
	have, ask := p.String(), q.String()
	for {
		h, haves := cut(have)
		if haves < 0 && h == anyRest {
			return true
		}
		a, asks := cut(ask)
		if asks < 0 && a == anyRest || h != anyToken && h != a {
			return false
		}
		if haves < 0 || asks < 0 {
			return haves < 0 && asks < 0
		}
		have, ask = have[haves:], ask[asks:]
	}
}

// cut returns the first token of s and where the next one begins, or -1.
func cut(s string) (token string, next int) {
	if i := strings.IndexByte(s, '.'); i >= 0 {
		return s[:i], i + 1
	}
	return s, -1
}
