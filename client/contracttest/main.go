// Command contracttest puts the client under the public contract tests for clients
// of Server-Sent Events (github.com/launchdarkly/sse-contract-tests): it is the
// service that the suite drives by HTTP.
//
//	go run ./client/contracttest -listen 127.0.0.1:8000
//
// Then start the suite with -url http://127.0.0.1:8000. A DELETE of / ends the
// service.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8000", "`address` to listen on")
	flag.Parse()
	if err := run(*listen); err != nil {
		fmt.Fprintln(os.Stderr, "contracttest:", err)
		os.Exit(1)
	}
}

func run(address string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening on http://" + l.Addr().String())
	s := newService(stop)
	defer s.close()
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ending) // the suite has gone
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
