package topics

import (
	"strings"

	"github.com/spatehub/spate/wire"
)

// trie holds the sets of patterns with wildcards, a level for each token.
//
// For each token of a topic a search goes on at two places at most, that of the
// token and that of "*". wire bounds a pattern's tokens and stars, so that
// however many patterns there are, a search comes to fewer than ten thousand
// nodes, and to a few where the patterns are not made for the purpose.
type trie[M any] struct {
	root  node[M]
	edges table[edge[M], *node[M]] // of all nodes: a map each would cost more than all else
	sets  int
}

// edge is the way from a node to the one of a further token.
type edge[M any] struct {
	from  *node[M]
	token string
}

// node stands for the first tokens of some patterns.
type node[M any] struct {
	up    *node[M]
	token string
	star  *node[M] // further token "*"
	edges int32    // further tokens of other names, in trie.edges
	here  *Set[M]  // of the pattern that ends here
	rest  *Set[M]  // of the pattern that goes on with a last ">"
}

// set returns the set of the pattern, made if need be: the caller puts somebody
// into it.
func (t *trie[M]) set(p wire.Pattern) *Set[M] {
	n := &t.root
	for text := p.String(); ; {
		token, rest, more := strings.Cut(text, ".")
		if !more && token == ">" {
			return t.ensure(n, &n.rest, p)
		}
		n = t.child(n, token)
		if !more {
			return t.ensure(n, &n.here, p)
		}
		text = rest
	}
}

// ensure fills the place for a set at n.
func (t *trie[M]) ensure(n *node[M], place **Set[M], p wire.Pattern) *Set[M] {
	if *place == nil {
		*place = &Set[M]{pattern: p.Clone(), at: n}
		t.sets++
	}
	return *place
}

// child returns the node of a further token, made if need be.
func (t *trie[M]) child(n *node[M], token string) *node[M] {
	if token == "*" {
		if n.star == nil {
			n.star = &node[M]{up: n, token: "*"}
		}
		return n.star
	}
	if next := t.edges.get(edge[M]{n, token}); next != nil {
		return next
	}
	token = strings.Clone(token) // of a pattern that may be much longer
	next := &node[M]{up: n, token: token}
	t.edges.put(edge[M]{n, token}, next)
	n.edges++
	return next
}

// drop takes a set that is empty away, and the nodes that were there for it alone.
func (t *trie[M]) drop(s *Set[M]) {
	n := s.at
	if n.here == s {
		n.here = nil
	} else {
		n.rest = nil
	}
	t.sets--
	for n.up != nil && n.here == nil && n.rest == nil && n.star == nil && n.edges == 0 {
		up := n.up
		if n.token == "*" {
			up.star = nil
		} else {
			t.edges.drop(edge[M]{up, n.token})
			up.edges--
		}
		n = up
	}
}

// find appends the sets at and below n that have the topic's remaining tokens.
func (t *trie[M]) find(dst []*Set[M], n *node[M], topic string) []*Set[M] {
	if n.rest != nil {
		dst = append(dst, n.rest)
	}
	token, rest, more := strings.Cut(topic, ".")
	var named *node[M]
	if n.edges > 0 {
		named = t.edges.get(edge[M]{n, token})
	}
	for _, next := range [2]*node[M]{named, n.star} {
		switch {
		case next == nil:
		case more:
			dst = t.find(dst, next, rest)
		case next.here != nil:
			dst = append(dst, next.here)
		}
	}
	return dst
}

// has is find that ends at the first set.
func (t *trie[M]) has(n *node[M], topic string) bool {
	if n.rest != nil {
		return true
	}
	token, rest, more := strings.Cut(topic, ".")
	var named *node[M]
	if n.edges > 0 {
		named = t.edges.get(edge[M]{n, token})
	}
	for _, next := range [2]*node[M]{named, n.star} {
		if next != nil && (more && t.has(next, rest) || !more && next.here != nil) {
			return true
		}
	}
	return false
}
