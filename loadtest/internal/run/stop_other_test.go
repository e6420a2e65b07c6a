//go:build !unix

package run_test

// serverMain is for the test that stops a server, which needs a Unix system.
func serverMain() {}
