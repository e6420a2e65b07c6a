// Command loadtest puts a Server-Sent Events deployment under load: it opens
// any number of streams, publishes events on a schedule that no slow server can
// hold up, checks every event that arrives, and reports the delays.
//
//	go run ./loadtest run -url http://127.0.0.1:8080 -streams 1000 -rate 100/s
//
// docs/loadtest.md explains how to test a deployment and how to read the
// figures.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spatehub/spate/loadtest/internal/cli"
	"github.com/spatehub/spate/loadtest/internal/procs"
)

func main() {
	procs.Main() // does not return in a worker process
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second interrupt ends at once
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
