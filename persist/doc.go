// Package persist keeps events so that a client that was away gets what it
// missed.
//
// What users implement is [Store]: save an event, list what came after an ID.
// What the hub runs on is [Log]: append a batch of records atomically, read on
// from an ID in order. Package pebblelog has the log on disk, [NewMemory] gives the
// one that lives and dies with the process, and [FromStore] makes a Log of any Store.
//
// A log may offer more than Log asks; the hub finds out by interface, as package
// io does it:
//
//   - [Querier] reads only what a topic or a user may see, by an index;
//   - [Pipeliner] lets the next batch be written while the last one is synced;
//   - [Dated] finds where a time begins;
//   - [Runs] remembers which IDs were issued, whatever became of their records;
//   - [Stats] tells sizes, and whether the log works.
//
// # Order
//
// IDs are strictly increasing within a batch and from batch to batch, across
// reopening. A reader continues from the [Page.UpTo] of its last page, and never
// meets an ID twice. A record becomes readable once its Append is acknowledged,
// not before, so what was delivered cannot be taken back by a crash.
package persist
