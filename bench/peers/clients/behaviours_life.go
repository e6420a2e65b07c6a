//go:build linux

package main

import (
	"net/http"
	"runtime"
	"time"
)

// living is how a client begins, stops and ends.
var living = []behaviour{
	{"Living", "a silent server is given up, where that is asked for", func(lib library) (bool, error) {
		return withBed(lib, request{Idle: 300 * time.Millisecond}, []turn{say("data: \"x\"\n\n")}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return len(b.requests) >= 2 })
		})
	}},
	{"Living", "stops within a second while it reads, and leaves no goroutine", stops([]turn{say("data: \"x\"\n\n")})},
	{"Living", "the same while it waits to connect again", stops([]turn{sayAndEnd("retry: 60000\ndata: \"x\"\n\n")})},
	{"Living", "the same while the server does not answer", func(lib library) (bool, error) {
		return stops([]turn{func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }})(lib)
	}},
	{"Living", "can be stopped from a callback, and then hands out no further event", func(lib library) (bool, error) {
		stop := make(chan func(), 1)
		r := request{Event: func(string, string, string) { (<-stop)() }}
		return withBed(lib, r, []turn{say("data: \"x\"\n\ndata: \"y\"\n\n")}, func(b *bed, run running) bool {
			stop <- run.Stop
			defer func() {
				select {
				case stop <- func() {}: // for a second event
				default:
				}
			}()
			return b.until(soon, func() bool { return len(b.events) == 1 }) && finished(run) &&
				!b.until(100*time.Millisecond, func() bool { return len(b.events) > 1 })
		})
	}},
	{"Living", "a finite stream ends with its response", func(lib library) (bool, error) {
		return withBed(lib, request{Finite: true}, []turn{sayAndEnd("data: \"x\"\n\n")}, func(b *bed, run running) bool {
			return finished(run) && b.until(0, func() bool { return b.dataIs(`"x"`) && len(b.errs) == 0 && len(b.requests) == 1 })
		})
	}},
	{"Living", "a finite stream that breaks is told from one that ends", func(lib library) (bool, error) {
		return withBed(lib, request{Finite: true}, []turn{sayAndBreak("data: \"x\"\n\n")}, func(b *bed, run running) bool {
			return finished(run) && b.until(0, func() bool { return len(b.errs) == 1 && len(b.requests) == 1 })
		})
	}},
	{"Living", "a finite stream that ends in the middle of an event is an error", func(lib library) (bool, error) {
		return withBed(lib, request{Finite: true}, []turn{sayAndEnd("data: \"x\"\n\ndata: \"cut")}, func(b *bed, run running) bool {
			return finished(run) && b.until(0, func() bool { return b.dataIs(`"x"`) && len(b.errs) == 1 })
		})
	}},
}

// finished waits for a client's own end.
func finished(run running) bool {
	select {
	case <-run.Done:
		return true
	case <-time.After(soon):
		return false
	}
}

// stops requires that a client ends within a second, closes its connection, and
// leaves no goroutine behind but those that were there before.
func stops(turns []turn) func(library) (bool, error) {
	return func(lib library) (bool, error) {
		before := settled()
		return withBed(lib, request{}, turns, func(b *bed, run running) bool {
			if !b.until(soon, func() bool { return len(b.requests) >= len(turns) }) {
				return false
			}
			b.until(200*time.Millisecond, func() bool { return false }) // it is where it is to be caught by now
			run.Stop()
			if !b.until(time.Second, func() bool { return b.open == 0 }) {
				return false
			}
			b.close()
			return settled() <= before
		})
	}
}

// settled is the number of goroutines once it has not fallen for a second.
func settled() int {
	http.DefaultClient.CloseIdleConnections()
	least, since := runtime.NumGoroutine(), time.Now()
	for time.Since(since) < time.Second {
		time.Sleep(10 * time.Millisecond)
		if n := runtime.NumGoroutine(); n < least {
			least, since = n, time.Now()
		}
	}
	return least
}
