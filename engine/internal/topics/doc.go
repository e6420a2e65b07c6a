// Package topics is the index of who follows what: exact topics in a map,
// patterns in a trie. An event costs in proportion to whom it reaches, not to
// how many there are.
//
// An index has a single writer, which is also its only reader: a shard. Nothing
// in it is locked.
package topics
