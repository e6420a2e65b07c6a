package ringbuf

import "sync/atomic"

// Node carries one value into a [Mailbox]. It is allocated by its owner and
// may be embedded; it is in at most one mailbox at a time. From Put to the
// Take that returns it, it belongs to the mailbox.
type Node[T any] struct {
	next  atomic.Pointer[Node[T]]
	Value T
}

// Mailbox is an unbounded queue for many producers and a single consumer. It
// allocates nothing and is never full: the producers bring the nodes. Nodes
// come out in the order of their Puts. The zero value is empty and ready.
//
// It is a stack that the consumer takes as a whole and turns around. (A linked
// queue with a swapped tail saves the producers their retry, but between swap
// and link its consumer sees neither a node nor an empty queue and must wait
// for a stranger.)
type Mailbox[T any] struct {
	_ pad
	// top is the latest node, linked to the ones before it. Swapping it in
	// passes the node to the consumer, and swapping nil in passes all of them.
	// Written by producers and, once a batch, by the consumer.
	top atomic.Pointer[Node[T]]

	_ pad
	// out is the rest of the batch last taken, oldest first. Consumer only.
	out *Node[T]

	_ pad
}

// Put adds n. It reports whether there was nothing that the consumer had not
// yet taken over, in other words whether the consumer may have to be told.
// Put synchronizes before the Take that returns n. Safe from any goroutine.
func (m *Mailbox[T]) Put(n *Node[T]) (wasEmpty bool) {
	for {
		top := m.top.Load()
		n.next.Store(top)
		if m.top.CompareAndSwap(top, n) {
			// At this point the consumer owns n.
			return top == nil
		}
	}
}

// Take returns the oldest node, nil if there is none. The node is the
// caller's and may be put again. Only the consumer may call it.
func (m *Mailbox[T]) Take() *Node[T] {
	n := m.out
	if n == nil {
		if n = m.takeOver(); n == nil {
			return nil
		}
	}
	m.out = n.next.Load()
	n.next.Store(nil)
	return n
}

// takeOver empties the stack and returns its nodes oldest first.
func (m *Mailbox[T]) takeOver() *Node[T] {
	if m.top.Load() == nil {
		return nil
	}
	var oldest *Node[T]
	for n := m.top.Swap(nil); n != nil; {
		before := n.next.Load()
		n.next.Store(oldest)
		oldest, n = n, before
	}
	return oldest
}

// Empty reports whether Take would return nil. Only the consumer may call it.
func (m *Mailbox[T]) Empty() bool { return m.out == nil && m.top.Load() == nil }
