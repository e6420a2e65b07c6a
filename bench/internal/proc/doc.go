// Package proc runs the parts of a benchmark as processes of their own, each on a processor of its own, and talks with
// them: one JSON request, one JSON answer, a line each. So the processor time and memory of a server under test are its
// own, and nothing of the load is in them.
//
// A part is the running program again, started with an environment variable; it runs on Linux only.
package proc
