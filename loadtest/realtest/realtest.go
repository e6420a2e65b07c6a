// Package realtest tries loadtest's adapters against the servers that they are for, with the commands of
// docs/loadtest.md. It is a module of its own, so that nobody else inherits these servers.
package realtest
