package engine

// dearJoins are the connections with many topics that have joined and wait to be taken
// in: each of them takes a pass's budget, and however many come at a time, one with few
// topics does not wait for them.
type dearJoins struct {
	list  []*client // in order of arrival
	taken int       // out of list so far
}

// join takes a client in, or has it wait for its turn.
func (s *shard) join(c *client) {
	if len(c.topics) >= dearTopics {
		s.joins.list = append(s.joins.list, c)
		return
	}
	s.admit(c)
}

// joinDear takes in the next of those with many topics, for a bounded cost. It returns
// whether some are left.
func (s *shard) joinDear() (more bool) {
	j := &s.joins
	for end := s.until(passBudget); len(j.list) > 0 && !s.reached(end); {
		c := j.list[0]
		j.list[0] = nil
		j.list = j.list[1:]
		j.taken++
		s.spend(lookCost)
		if c.state == stateNew { // else it has gone
			s.admit(c)
		}
	}
	if len(j.list) == 0 {
		j.list = nil
	}
	return len(j.list) > 0
}
