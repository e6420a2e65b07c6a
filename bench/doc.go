// Package bench measures spate: one file for each question, as Go benchmarks with figures of their own.
//
// Benchmarks over real sockets run the server in a child process on a processor of its own, so that its processor time
// is its own, and beside it, in turns, the bare write loop that does the same work; so each figure has its ratio to the
// floor. README.md says how to run them and what the figures mean.
package bench
