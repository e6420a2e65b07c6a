// Package ringbuf passes values between goroutines without locks.
//
//   - [Ring] broadcasts: many producers, and every reader sees every value.
//     Readers can follow other readers, and can keep a window of history.
//   - [Queue] is a bounded queue from one producer to one consumer.
//   - [MPMC] is a bounded queue between many of both.
//   - [Mailbox] is an unbounded queue from many producers to one consumer that
//     allocates nothing, because the producers bring the nodes.
//
// Methods named Try... never wait. Those that wait take a context, end on Close
// too, and park the goroutine after a short time, as [WaitStrategy] says.
//
// A build with the tag spatecheck panics when a Ring's slot is used by somebody
// who cannot own it.
//
// A channel is simpler and often as good: use it where there is one reader and
// a value is more work than its hand-over. A Ring pays where many readers get
// the same values, in batches, and the values should live in place.
package ringbuf
