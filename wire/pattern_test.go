package wire_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/wire"
)

func pattern(t testing.TB, s string) wire.Pattern {
	t.Helper()
	p, err := wire.ParsePattern(s)
	require.NoError(t, err, "%q", s)
	return p
}

func TestPatternMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern    string
		in, beside []string
	}{
		{"orders", []string{"orders"}, []string{"order", "orders.", "orders.eu", "Orders", ""}},
		{"a b/ü", []string{"a b/ü"}, []string{"a b/u"}},
		{"a*", []string{"a*"}, []string{"a", "ab"}},
		{"*a.b>", []string{"*a.b>"}, []string{"xa.b>", "*a.bc"}},
		{"..", []string{".."}, []string{".", "a.b.c"}},
		{"*", []string{"orders", "a*"}, []string{"", "a.b", "."}},
		{"orders.*", []string{"orders.eu", "orders."}, []string{"orders", "orders.eu.x", "order.eu"}},
		{"*.eu", []string{"orders.eu", ".eu"}, []string{"eu", "a.b.eu", "orders.eu."}},
		{"orders.*.eu", []string{"orders.7.eu", "orders..eu"}, []string{"orders.eu", "orders.7.8.eu", "orders.7.us", "orders.7.eux"}},
		{"*.*", []string{"a.b", "."}, []string{"a", "a.b.c"}},
		{">", []string{"a", "a.b", ".", "a.b.c.d"}, []string{""}},
		{"orders.>", []string{"orders.7", "orders.7.eu", "orders.", "orders.."}, []string{"orders", "ordersx", "orders7.x"}},
		{"*.b.>", []string{"a.b.c", ".b.", "a.b.c.d"}, []string{"a.b", "a.c.d", "b.c"}},
		{"*.>", []string{"a.b", "a."}, []string{"a"}},
	} {
		p := pattern(t, tc.pattern)
		require.Equal(t, tc.pattern, p.String())
		for _, topic := range tc.in {
			require.True(t, p.Match(topic), "%q has %q", tc.pattern, topic)
		}
		for _, topic := range tc.beside {
			require.False(t, p.Match(topic), "%q has not %q", tc.pattern, topic)
		}
	}
	require.False(t, wire.Pattern{}.Match(""), "an event without a topic is in no pattern")
}

func TestPatternRefuses(t *testing.T) {
	deep := strings.Repeat("a.", wire.MaxPatternTokens-1)
	for _, tc := range []struct{ pattern, reason string }{
		{"", "is empty"},
		{">.a", "not the last"},
		{"a.>.>", "not the last"},
		{"a.>.", "not the last"},
		{"a\nb", "line feed"},
		{"a.\x00.*", "NUL"},
		{"\xff.*", "UTF-8"},
		{strings.Repeat("a", wire.MaxNameLen+1), "longer"},
		{deep + "a.*", "more than 16 tokens"},
		{deep + "a.>", "more than 16 tokens"},
		{"*.*.*.*.*", `more than 4 tokens "*"`},
	} {
		_, err := wire.ParsePattern(tc.pattern)
		var field *wire.FieldError
		require.True(t, errors.As(err, &field), "%q", tc.pattern)
		require.Equal(t, "topic", field.Field)
		require.Contains(t, field.Reason, tc.reason)
	}
	for _, fits := range []string{deep + "*", deep + ">", "*.*.*.*.>", deep + deep + "a", strings.Repeat("*a.", 20) + "a"} {
		pattern(t, fits)
	}
}

// A topic that reads as a pattern could only be followed by following more, so that nothing is pushed to it; all others mean what they meant before
// there were patterns.
func TestTopicsAreNoPatterns(t *testing.T) {
	for _, topic := range []string{"*", ">", "a.*", "*.a", "a.*.b", "a.>", ">.a", ".*.", "a.>."} {
		var field *wire.FieldError
		require.True(t, errors.As((&wire.Event{Data: "x", Topic: topic}).Validate(), &field), topic)
		require.Equal(t, "topic", field.Field)
		_, err := wire.TopicPattern(topic)
		require.True(t, errors.As(err, &field), topic)
		require.Equal(t, "topic", field.Field)
	}
	_, err := wire.TopicPattern("")
	require.Error(t, err)
	for _, topic := range []string{"a", "a*", "*a", "a.b*.c", "a>b", ">>", "**", "a.**", "..", "a b", "/a/*"} {
		require.NoError(t, (&wire.Event{Data: "x", Topic: topic}).Validate(), topic)
		p, err := wire.TopicPattern(topic)
		require.NoError(t, err)
		require.Equal(t, pattern(t, topic), p)
		require.False(t, p.Wild())
		require.True(t, p.Match(topic))
	}
}

func TestPatternContains(t *testing.T) {
	for _, tc := range []struct {
		pattern    string
		in, beside []string
	}{
		{"a", []string{"a"}, []string{"*", ">", "b", "a.b"}},
		{"*", []string{"a", "*"}, []string{">", "a.b", "a.*", "*.>"}},
		{">", []string{"a", "*", ">", "a.b", "a.>", "*.*", "*.>"}, nil},
		{"a.*", []string{"a.b", "a.*"}, []string{"*", "*.b", "a.>", "a", "a.*.c"}},
		{"a.>", []string{"a.b", "a.*", "a.>", "a.b.>", "a.*.c", "a.*.>"}, []string{"a", "*", ">", "*.b", "b.>"}},
		{"*.b", []string{"a.b", "*.b"}, []string{"*.*", "*.>", "a.*"}},
		{"*.>", []string{"a.b", "*.*", "a.>", "*.>", "a.b.>"}, []string{">", "a", "*"}},
	} {
		p := pattern(t, tc.pattern)
		for _, q := range tc.in {
			require.True(t, p.Contains(pattern(t, q)), "%q in %q", q, tc.pattern)
		}
		for _, q := range tc.beside {
			require.False(t, p.Contains(pattern(t, q)), "%q not in %q", q, tc.pattern)
		}
	}
	zero := wire.Pattern{}
	require.False(t, zero.Contains(zero))
	require.False(t, pattern(t, ">").Contains(zero))
	require.False(t, zero.Contains(pattern(t, ">")))
}

func TestPatternPrefix(t *testing.T) {
	for s, want := range map[string]struct {
		prefix string
		dense  bool
	}{
		"orders":   {"orders", false},
		"orders.>": {"orders.", true},
		">":        {"", true},
		"*":        {"", false},
		"*.>":      {"", false},
		"a.b.*.c":  {"a.b.", false},
		"a.*.>":    {"a.", false},
		"a..>":     {"a..", true},
		"a*.>b.*":  {"a*.>b.", false},
	} {
		prefix, dense := pattern(t, s).Prefix()
		require.Equal(t, want.prefix, prefix, s)
		require.Equal(t, want.dense, dense, s)
	}
}

// (Invariant 8.)
func TestPatternAllocatesNothing(t *testing.T) {
	p, q := pattern(t, "orders.*.eu.>"), pattern(t, "orders.7.eu.*")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if !p.Match("orders.7.eu.berlin") || !p.Contains(q) || p.Match("orders.7.us.x") {
			panic("wrong")
		}
	}))
}

// twinMatch is Match without care for speed.
func twinMatch(pattern, topic []string) bool {
	if len(pattern) == 0 || len(topic) == 0 {
		return len(pattern) == len(topic)
	}
	if pattern[0] == ">" {
		return true
	}
	return (pattern[0] == "*" || pattern[0] == topic[0]) && twinMatch(pattern[1:], topic[1:])
}

func FuzzPatternMatch(f *testing.F) {
	f.Add("orders.*.eu", "orders.7.eu")
	f.Add("orders.>", "orders")
	f.Add("*.>", ".")
	f.Add("a*.>", "a*.b")
	f.Add("..", "..")
	f.Fuzz(func(t *testing.T, s, topic string) {
		p, err := wire.ParsePattern(s)
		if err != nil {
			require.Zero(t, p)
			return
		}
		asTopic := (&wire.Event{Data: "", Topic: topic}).Validate() == nil && topic != ""
		if asTopic {
			require.Equal(t, twinMatch(strings.Split(s, "."), strings.Split(topic, ".")), p.Match(topic))
		}
		require.Equal(t, (&wire.Event{Data: "", Topic: s}).Validate() != nil, p.Wild(), "a text is a topic or has wildcards")
		if prefix, dense := p.Prefix(); asTopic {
			begins := strings.HasPrefix(topic, prefix)
			require.True(t, begins || !p.Match(topic))
			require.True(t, !dense || begins == p.Match(topic))
		}
	})
}

// FuzzPatternContains compares with the plain meaning, by enumeration: over an alphabet with one token that neither pattern has, up to one token more
// than either.
func FuzzPatternContains(f *testing.F) {
	f.Add("a.>", "a.*.b")
	f.Add("*.>", ">")
	f.Add(">", "*")
	f.Add("*.*", "a.*")
	f.Add("a..>", "a..")
	f.Fuzz(func(t *testing.T, s1, s2 string) {
		p, err1 := wire.ParsePattern(s1)
		q, err2 := wire.ParsePattern(s2)
		if err1 != nil || err2 != nil {
			return
		}
		tokens := map[string]bool{"other": true}
		longest := 0
		for _, s := range []string{s1, s2} {
			list := strings.Split(s, ".")
			longest = max(longest, len(list))
			for _, token := range list {
				if token != "*" && token != ">" {
					tokens[token] = true
				}
			}
		}
		if strings.Contains(s1+s2, "other") || longest > 4 || len(tokens) > 5 {
			return
		}
		want := true
		var walk func(topic []string)
		walk = func(topic []string) {
			if len(topic) > 0 && strings.Join(topic, ".") != "" && twinMatch(strings.Split(s2, "."), topic) && !twinMatch(strings.Split(s1, "."), topic) {
				want = false
			}
			if len(topic) == longest+1 || !want {
				return
			}
			for token := range tokens {
				walk(append(topic[:len(topic):len(topic)], token))
			}
		}
		walk(nil)
		require.Equal(t, want, p.Contains(q), "%q in %q", s2, s1)
	})
}

func BenchmarkPatternMatch(b *testing.B) {
	for _, s := range []string{"orders.7.eu.berlin", "orders.*.eu.*", "orders.>"} {
		b.Run(s, func(b *testing.B) {
			p := pattern(b, s)
			b.ReportAllocs()
			for b.Loop() {
				if !p.Match("orders.7.eu.berlin") {
					b.Fatal("no match")
				}
			}
		})
	}
}
