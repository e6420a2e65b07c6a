package topics

import "fmt"

// Audit checks that every set has members, each with its place in the Ref of its
// slot, and calls check for each of them. It is for tests: it takes as long as
// there are subscriptions.
func (x *Index[M]) Audit(check func(M) error) error {
	sets := make([]*Set[M], 0, x.exact.Len()+x.tree.sets)
	for set := range x.exact.All() {
		if x.exact.Get(set.Name()) != set || set.pattern.Wild() {
			return fmt.Errorf("topics: %q is not found under its name", set.pattern)
		}
		sets = append(sets, set)
	}
	nodes := []*node[M]{&x.tree.root}
	for _, n := range x.tree.edges.m {
		nodes = append(nodes, n)
	}
	for len(nodes) > 0 {
		n := nodes[len(nodes)-1]
		nodes = nodes[:len(nodes)-1]
		if n.star != nil {
			nodes = append(nodes, n.star)
		}
		for _, set := range []*Set[M]{n.here, n.rest} {
			if set != nil {
				sets = append(sets, set)
			}
		}
	}
	if len(sets) != x.exact.Len()+x.tree.sets {
		return fmt.Errorf("topics: %d patterns are counted, not %d", x.tree.sets, len(sets)-x.exact.Len())
	}
	for _, set := range sets {
		if err := audit(set, check); err != nil {
			return err
		}
	}
	return nil
}

func audit[M Member[M]](s *Set[M], check func(M) error) error {
	if len(s.entries) == 0 {
		return fmt.Errorf("topics: nobody follows %q", s.pattern)
	}
	for i, e := range s.entries {
		if ref := e.Member.TopicRef(e.slot); ref.set != s || int(ref.index) != i {
			return fmt.Errorf("topics: %q: member %d does not know its place", s.pattern, i)
		}
		if err := check(e.Member); err != nil {
			return fmt.Errorf("topics: %q: %w", s.pattern, err)
		}
	}
	return nil
}
