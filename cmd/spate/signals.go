package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// signaled returns the interrupts and terminations of a command that heeds them, and for serve the hangups. Others end as
// programs do.
func signaled(command string) (signals, hangups <-chan os.Signal) {
	switch command {
	case "serve":
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGHUP) // the others end with their terminal
		hangups = c
	case "push", "tail", "log":
	default:
		return nil, nil
	}
	raw, heeded := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(raw, os.Interrupt, syscall.SIGTERM)
	go relay(raw, heeded, func() {
		fmt.Fprintln(os.Stderr, "spate: ended by a second signal")
		os.Exit(exitFailed)
	})
	return heeded, hangups
}

// relay hands signals over. One for which there is no room, as the one before was not heeded, ends the process: what hangs,
// in a call of the system or while it starts, heeds none.
func relay(from <-chan os.Signal, to chan<- os.Signal, end func()) {
	for sig := range from {
		select {
		case to <- sig:
		default:
			end()
		}
	}
}

var errSignal = errors.New("ended by a signal")

// untilSignal returns a context that ends at the first signal.
func untilSignal(ctx context.Context, signals <-chan os.Signal) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// interruptible is in until the context ends, though nothing may come of it.
func interruptible(ctx context.Context, in io.Reader) io.Reader {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, in)
		_ = w.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { _ = w.CloseWithError(errSignal) })
	return r
}
