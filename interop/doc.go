// Package interop tries the hub with clients and proxies of others: the real
// process, killed and started again, over real sockets. It is a module of its
// own, so that nobody else has to fetch what it tests against.
//
// `make interop` runs it. What is not on the machine (node and npm, a browser, a
// proxy, Prometheus) is skipped with a word.
package interop
