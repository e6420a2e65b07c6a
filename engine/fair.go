package engine

// fairQueue gives what waits its turn: first by source, then by user, then by
// connection, in each of the three to the one that has had the least. It is start-
// time fair queueing: who comes anew begins where those before it are now, so that
// nobody saves up turns by being silent, and who was served pays the cost before it
// is served again.
//
// Used under the lock of its owner.
type fairQueue struct {
	root fairGroup
	size int // requests that wait
}

// fairNode is a source, a user of it, or the request of one connection.
type fairNode struct {
	parent *fairGroup

	// due is the service that the node has had, in units of cost, on the scale of
	// its parent's now: the lowest is next.
	due  uint64
	cost uint64 // of a request: what it will take, paid when it is served
	at   int    // 1 + index in parent's waiting; 0: it does not wait

	request *history   // of a connection, else nil
	group   *fairGroup // whose node it is, of a source or a user
}

// fairGroup is a source with its users, or a user with its connections; or all sources.
type fairGroup struct {
	fairNode
	key uint64

	now     uint64 // due of the child that was served last
	waiting []fairTurn
	one     [1]fairTurn // backs waiting where only one does

	// The groups in it that wait or have a debt: one of them, and the others by key.
	// Most have one only, and need no map.
	first *fairGroup
	known map[uint64]*fairGroup
	many  int // children at which to look for some to forget
}

// fairTurn is a child with requests, in a heap by its order, which is here so that a look
// at the heap is none at the children.
type fairTurn struct {
	order uint64
	*fairNode
}

// order is what a heap is sorted by: of one user's connections, those that ask
// for little come first.
func (n *fairNode) order() uint64 { return n.due + n.cost }

// push adds the connection's request, which does not wait yet.
func (q *fairQueue) push(h *history, cost uint64) {
	user := q.user(h.c.source, h.c.fairUser())
	leaf := &h.turn
	if leaf.parent != user {
		*leaf = fairNode{parent: user, request: h, due: user.now}
	}
	leaf.cost = cost
	q.size++
	for n := leaf; n.parent != nil && n.at == 0; n = &n.parent.fairNode {
		n.due = max(n.due, n.parent.now)
		n.parent.add(n)
	}
}

// user returns the group of a source's user, which it makes if need be.
func (q *fairQueue) user(source, user uint64) *fairGroup {
	s := q.root.find(source)
	if s == nil {
		made := &struct{ source, user fairGroup }{}
		s = &made.source
		q.root.adopt(s, source)
		s.adopt(&made.user, user)
		return &made.user
	}
	u := s.find(user)
	if u == nil {
		u = &fairGroup{}
		s.adopt(u, user)
	}
	return u
}

// pop takes out the request whose turn it is, and has its cost paid. nil: nothing
// waits.
func (q *fairQueue) pop() *history {
	if q.size == 0 {
		return nil
	}
	n := &q.root.fairNode
	for g := &q.root; n.request == nil; g = n.group {
		n = g.waiting[0].fairNode
		g.now = max(g.now, n.due)
	}
	h := n.request
	q.drop(h)
	q.charge(h, n.cost)
	return h
}

// drop takes out a request that waits, with its user and its source where nothing of
// theirs waits any more.
func (q *fairQueue) drop(h *history) {
	q.size--
	n := &h.turn
	n.parent.remove(n)
	for g := n.parent; g.parent != nil && len(g.waiting) == 0; g = g.parent {
		g.parent.remove(&g.fairNode)
	}
	if q.size == 0 {
		q.root.forgetAll() // all debts were to those who waited
	}
}

// charge has the connection, its user and its source pay.
func (q *fairQueue) charge(h *history, cost uint64) {
	for n := &h.turn; n.parent != nil; n = &n.parent.fairNode {
		n.due += cost
		if n.at != 0 {
			n.parent.sift(n)
		}
	}
}

// find returns the group of a key in g, nil where it is not known.
func (g *fairGroup) find(key uint64) *fairGroup {
	if c := g.first; c != nil && c.key == key {
		return c
	}
	return g.known[key]
}

// adopt puts a new group into g.
func (g *fairGroup) adopt(c *fairGroup, key uint64) {
	if len(g.known) >= g.many {
		g.forget()
	}
	c.parent, c.group, c.key, c.due = g, c, key, g.now
	switch {
	case g.first == nil:
		g.first = c
		return
	case g.known == nil:
		g.known = map[uint64]*fairGroup{}
	}
	g.known[key] = c
}

// minKnown is how many groups one keeps before it looks for some to forget.
const minKnown = 64

// forget drops the groups without requests that owe nothing any more. It looks
// again when there are twice as many: what it costs is spread over them.
func (g *fairGroup) forget() {
	if c := g.first; c != nil && g.settled(c) {
		g.first = nil
	}
	for key, c := range g.known {
		if g.settled(c) {
			delete(g.known, key)
		}
	}
	g.many = 2*len(g.known) + minKnown
}

func (g *fairGroup) settled(c *fairGroup) bool { return c.at == 0 && c.due <= g.now }

// forgetAll drops all groups in it.
func (g *fairGroup) forgetAll() {
	g.first = nil
	if g.many > minKnown {
		g.known, g.many = nil, 0
	}
	clear(g.known)
}

// The heap of the children that wait.

func (g *fairGroup) add(c *fairNode) {
	if g.waiting == nil {
		g.waiting = g.one[:0]
	}
	g.waiting = append(g.waiting, fairTurn{fairNode: c})
	c.at = len(g.waiting)
	g.sift(c)
}

func (g *fairGroup) remove(c *fairNode) {
	last := len(g.waiting) - 1
	i := c.at - 1
	g.put(i, g.waiting[last])
	g.waiting[last] = fairTurn{}
	g.waiting = g.waiting[:last]
	c.at = 0
	if i < last {
		g.sift(g.waiting[i].fairNode)
	} else if last == 0 {
		g.waiting, g.one[0] = nil, fairTurn{} // it may have been long, and has left one behind
	}
}

// sift moves a child to where it belongs.
func (g *fairGroup) sift(c *fairNode) {
	w, i := g.waiting, c.at-1
	own := fairTurn{c.order(), c}
	for up := (i - 1) / 2; i > 0 && own.order < w[up].order; up = (i - 1) / 2 {
		g.put(i, w[up])
		i = up
	}
	for {
		least := 2*i + 1
		if least+1 < len(w) && w[least+1].order < w[least].order {
			least++
		}
		if least >= len(w) || w[least].order >= own.order {
			break
		}
		g.put(i, w[least])
		i = least
	}
	g.put(i, own)
}

func (g *fairGroup) put(i int, t fairTurn) { g.waiting[i], t.at = t, i+1 }
