//go:build linux

// Command peers puts the same work on spate, on the bare write loops and on other Go libraries for Server-Sent Events, in
// turns, and writes what came out as tables into docs/benchmarks.md, the rows that spate loses included.
//
//	go run .                     everything: about a quarter of an hour on a machine that does nothing else
//	go run . -short              a smaller round, about four minutes
//	go run . -works flat -servers floor-batch-go,spate -out ''
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/bench/peers/internal/peer"
	"github.com/spatehub/spate/loadtest/load"
)

func main() {
	rig.Main(peer.Catalog()) // does not return in a server or reader process
	load.Main()              // nor this in loadtest's
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// options are the command line's.
type options struct {
	servers []string
	works   []string
	rounds  int
	span    time.Duration
	short   bool
	out     string
}

func parse(args []string) (options, error) {
	var o options
	var servers, works string
	f := flag.NewFlagSet("peers", flag.ContinueOnError)
	f.StringVar(&servers, "servers", "", "servers, separated by commas (default all: "+strings.Join(allServers(), ",")+")")
	f.StringVar(&works, "works", "", "works, separated by commas (default all: "+strings.Join(workNames(), ",")+")")
	f.IntVar(&o.rounds, "rounds", 0, "rounds; the tables show medians (default 3, with -short 1)")
	f.DurationVar(&o.span, "span", 0, "how long each run publishes (default 2s, with -short 1s)")
	f.BoolVar(&o.short, "short", false, "fewer streams, one round, shorter runs")
	f.StringVar(&o.out, "out", "../../docs/benchmarks.md", "page whose tables are replaced; empty = standard output alone")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	usual := usualSize(o.short)
	if o.rounds <= 0 {
		o.rounds = usual.rounds
	}
	if o.span <= 0 {
		o.span = usual.span
	}
	var err error
	if o.servers, err = chosen("server", servers, allServers()); err != nil {
		return o, err
	}
	o.works, err = chosen("work", works, workNames())
	return o, err
}

// usualSize returns the rounds and the length of runs where the command line does not say.
func usualSize(short bool) (o options) {
	if short {
		return options{rounds: 1, span: time.Second}
	}
	return options{rounds: 3, span: 2 * time.Second}
}

// chosen splits a list of names, each of which must be known; none means all.
func chosen(what, list string, known []string) ([]string, error) {
	if list == "" {
		return known, nil
	}
	names := strings.Split(list, ",")
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, fmt.Errorf("no %s %q: there are %s", what, n, strings.Join(known, ", "))
		}
	}
	return names, nil
}

// allServers lists every server in the tables' order.
func allServers() []string {
	names := []string{"floor-go", "floor-batch-go", "spate", "spate-log"}
	for _, p := range peer.All() {
		names = append(names, p.Name)
	}
	return names
}

func run(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	start := time.Now()
	results, err := measure(o)
	if err != nil {
		return err
	}
	text := page(o, results, start, time.Since(start))
	fmt.Print(text)
	if o.out == "" {
		return nil
	}
	return replace(o.out, text)
}

// measure runs every work on every server in turns, round after round: a machine that grows warmer or busier meanwhile
// does so to all.
func measure(o options) (map[string]*results, error) {
	all := map[string]*results{}
	most := 0
	for _, w := range works {
		if slices.Contains(o.works, w.name) {
			most = max(most, w.times(o))
		}
	}
	for round := range most {
		for _, w := range works {
			if !slices.Contains(o.works, w.name) || round >= w.times(o) {
				continue
			}
			if all[w.name] == nil {
				all[w.name] = &results{}
			}
			for _, name := range w.among(o.servers) {
				fmt.Fprintf(os.Stderr, "round %d of %d: %s on %s ... ", round+1, w.times(o), w.name, name)
				began := time.Now()
				s, err := w.run(name, o)
				if err != nil {
					s.fault = err.Error()
				}
				fmt.Fprintf(os.Stderr, "%.1f s %s\n", time.Since(began).Seconds(), s.fault)
				all[w.name].add(name, s)
			}
		}
	}
	return all, nil
}
