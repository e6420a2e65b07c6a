// Package engine is spate's hub: it takes events from any number of
// publishers, keeps them in a log, and brings each to every connection that is
// entitled to it.
//
// An event is encoded once, into a slot of a ring. A journal drains the ring
// into the log, one batch after the other; behind it, a few shards per
// processor read the ring, each for the connections that it owns, and write to
// their sinks. A connection has no queue of its own: what waits for it is the
// part of the ring's recent history after its position. One that falls out of
// that window, or comes back with a Last-Event-ID, reads the log from its
// position until it meets the window again.
//
// docs/architecture.md tells the whole story.
package engine
