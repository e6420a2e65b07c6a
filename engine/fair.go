package engine

// fairQueue gives what waits its turn: first by source, then by user, then by
// connection, in each of the three to the one that has had the least. It is start-
// time fair queueing: who comes anew begins where those before it are now, so that
// nobody saves up turns by being silent, and who was served pays the cost before it
// is served again.
//
// Used under the lock of its owner.
type fairQueue struct {
	root fairNode
	size int // requests that wait
}

// fairNode is a source, a user of it, or the request of one connection.
type fairNode struct {
	parent *fairNode
	key    uint64

	// due is the service that the node has had, in units of cost, on the scale of
	// its parent's now: the lowest is next.
	due uint64
	at  int // 1 + index in parent's waiting; 0: it does not wait

	now     uint64               // due of the child that was served last
	waiting []*fairNode          // children with requests, a heap by order
	known   map[uint64]*fairNode // children that wait or have a debt, by key
	many    int                  // children at which to look for some to forget

	cost    uint64   // of a request: what it will take, paid when it is served
	request *history // nil: a source or a user
}

// order is what a heap is sorted by: of one user's connections, those that ask
// for little come first.
func (n *fairNode) order() uint64 { return n.due + n.cost }

// push adds the connection's request, which does not wait yet.
func (q *fairQueue) push(h *history, cost uint64) {
	user := q.root.child(h.c.source).child(h.c.fairUser())
	leaf := &h.turn
	if leaf.parent != user {
		*leaf = fairNode{parent: user, request: h, due: user.now}
	}
	leaf.cost = cost
	q.size++
	for n := leaf; n.parent != nil && n.at == 0; n = n.parent {
		n.due = max(n.due, n.parent.now)
		n.parent.add(n)
	}
}

// pop takes out the request whose turn it is, and has its cost paid. nil: nothing
// waits.
func (q *fairQueue) pop() *history {
	if q.size == 0 {
		return nil
	}
	n := &q.root
	for n.request == nil {
		next := n.waiting[0]
		n.now = max(n.now, next.due)
		n = next
	}
	q.size--
	h := n.request
	n.parent.remove(n)
	q.charge(h, n.cost)
	q.leave(n)
	return h
}

// drop takes out a request that waits and is not to be served.
func (q *fairQueue) drop(h *history) {
	q.size--
	n := &h.turn
	n.parent.remove(n)
	q.leave(n)
}

// leave takes out the user and the source of a request that has gone, where nothing of
// theirs waits any more.
func (q *fairQueue) leave(n *fairNode) {
	for p := n.parent; p.parent != nil && len(p.waiting) == 0; p = p.parent {
		p.parent.remove(p)
	}
	if q.size == 0 {
		q.root.known, q.root.many = nil, 0 // all debts were to those who waited
	}
}

// charge has the connection, its user and its source pay.
func (q *fairQueue) charge(h *history, cost uint64) {
	for n := &h.turn; n.parent != nil; n = n.parent {
		n.due += cost
		if n.at != 0 {
			n.parent.sift(n)
		}
	}
}

// child returns the node of a key below n, which it makes if need be.
func (n *fairNode) child(key uint64) *fairNode {
	if c := n.known[key]; c != nil {
		return c
	}
	if len(n.known) >= n.many {
		n.forget()
	}
	if n.known == nil {
		n.known = map[uint64]*fairNode{}
	}
	c := &fairNode{parent: n, key: key, due: n.now}
	n.known[key] = c
	return c
}

// minKnown is how many children a node keeps before it looks for some to forget.
const minKnown = 64

// forget drops the children without requests that owe nothing any more. It looks
// again when there are twice as many: what it costs is spread over them.
func (n *fairNode) forget() {
	for key, c := range n.known {
		if c.at == 0 && c.due <= n.now {
			delete(n.known, key)
		}
	}
	n.many = 2*len(n.known) + minKnown
}

// The heap of the children that wait.

func (n *fairNode) add(c *fairNode) {
	n.waiting = append(n.waiting, c)
	c.at = len(n.waiting)
	n.sift(c)
}

func (n *fairNode) remove(c *fairNode) {
	last := len(n.waiting) - 1
	i := c.at - 1
	n.swap(i, last)
	n.waiting[last] = nil
	n.waiting = n.waiting[:last]
	c.at = 0
	if i < last {
		n.sift(n.waiting[i])
	} else if last == 0 {
		n.waiting = nil // it may have been long
	}
}

// sift moves a child to where it belongs.
func (n *fairNode) sift(c *fairNode) {
	i := c.at - 1
	for up := (i - 1) / 2; i > 0 && c.order() < n.waiting[up].order(); up = (i - 1) / 2 {
		n.swap(i, up)
		i = up
	}
	for {
		least := i
		for down := 2*i + 1; down <= 2*i+2 && down < len(n.waiting); down++ {
			if n.waiting[down].order() < n.waiting[least].order() {
				least = down
			}
		}
		if least == i {
			return
		}
		n.swap(i, least)
		i = least
	}
}

func (n *fairNode) swap(i, j int) {
	w := n.waiting
	w[i], w[j] = w[j], w[i]
	w[i].at, w[j].at = i+1, j+1
}
