//go:build linux

// Command peers puts the same work on spate, on the bare write loops, on other Go libraries for Server-Sent Events and on
// other servers, in turns, and writes what came out as tables into docs/benchmarks.md, the rows that spate loses
// included, and as a picture.
//
//	go run .                     seven rounds, on a machine that does nothing else; four hours at most
//	go run . -rounds 1           one round: 24 minutes on a machine that was busy
//	go run . -short              a smaller round
//	go run . -works flat -servers floor-batch-go,spate -out '' -picture ''
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spatehub/spate/bench/internal/rig"
	"github.com/spatehub/spate/bench/peers/internal/peer"
	"github.com/spatehub/spate/loadtest/load"
)

func main() {
	peer.Main()              // does not return in the process of Mercure's hub
	rig.Main(peer.Catalog()) // nor this in that of a server or reader
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
	limit   time.Duration
	out     string
	picture string
	note    string
	missing []string // servers that are not here, and why
}

// What is replaced, and when the last run begins, where the command line does not say.
const (
	thePage    = "../../docs/benchmarks.md"
	thePicture = "../../docs/images/peers.svg"
	usualLimit = 4 * time.Hour
)

func parse(args []string) (options, error) {
	var o options
	var servers, works string
	f := flag.NewFlagSet("peers", flag.ContinueOnError)
	f.StringVar(&servers, "servers", "", "servers, separated by commas (default all: "+strings.Join(allServers(), ",")+")")
	f.StringVar(&works, "works", "", "works, separated by commas (default all: "+strings.Join(workNames(), ",")+")")
	f.IntVar(&o.rounds, "rounds", 0, "rounds; the tables show medians (default 7, with -short 1)")
	f.DurationVar(&o.span, "span", 0, "how long each run publishes (default 2s, with -short 1s)")
	f.BoolVar(&o.short, "short", false, "fewer streams, one round, shorter runs")
	f.DurationVar(&o.limit, "limit", usualLimit, "no run is begun after this time")
	f.StringVar(&o.picture, "picture", thePicture, "picture that is made of the tables; empty = none, as where not all was run")
	f.StringVar(&o.note, "note", "", "a `sentence` for the page, on what else the machine was doing")
	f.StringVar(&o.out, "out", thePage, "page whose tables are replaced; empty = standard output alone, as where not all was run")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if servers != "" || works != "" { // what was run of all stays, unless somebody says so
		given := map[string]bool{}
		f.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["out"] {
			o.out = ""
		}
		if !given["picture"] {
			o.picture = ""
		}
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
	return options{rounds: 7, span: 2 * time.Second}
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
	names := []string{"floor-go", "floor-batch-go", "spate", "spate-uring", "spate-log"}
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
	remove, err := buildHub(o.servers)
	if err != nil {
		return err
	}
	defer remove()
	o.servers, o.missing = here(o.servers)
	start, loaded := time.Now(), loadAverage()
	results, whole := measure(o, start)
	text := page(o, results, start, time.Since(start), whole, loaded)
	fmt.Print(text)
	if o.picture != "" {
		if err := os.WriteFile(o.picture, []byte(picture(results, start)), 0o644); err != nil {
			return err
		}
	}
	if o.out == "" {
		return nil
	}
	return replace(o.out, text)
}

// buildHub builds the standalone hub if it is among the servers; remove takes it away again.
func buildHub(servers []string) (remove func(), err error) {
	if !slices.Contains(servers, "spate-hub") {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "spate-peers-")
	if err != nil {
		return nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	bin := filepath.Join(dir, "spate")
	build := exec.Command("go", "build", "-o", bin, "./cmd/spate")
	build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0") // as a release is
	if out, err := build.CombinedOutput(); err != nil {
		remove()
		return nil, fmt.Errorf("build the hub: %w\n%s", err, out)
	}
	return remove, os.Setenv(peer.HubVar, bin)
}

// here parts the servers that this machine has from those that it has not, with the reason.
func here(servers []string) (there, missing []string) {
	for _, name := range servers {
		if err := peer.Needs(name); err != nil {
			missing = append(missing, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		there = append(there, name)
	}
	return there, missing
}

// measure runs every work on every server in turns, round after round: a machine that grows warmer or busier meanwhile
// does so to all. whole is how many were whole when the time was up.
func measure(o options, start time.Time) (all map[string]*results, whole int) {
	all = map[string]*results{}
	for round := range o.rounds {
		for i := range works {
			w := &works[i]
			if !slices.Contains(o.works, w.name) || round >= w.times(o) {
				continue
			}
			if all[w.name] == nil {
				all[w.name] = &results{}
			}
			for _, name := range w.among(o.servers) {
				if time.Since(start) > o.limit {
					return all, round
				}
				fmt.Fprintf(os.Stderr, "round %d of %d: %s on %s ... ", round+1, w.times(o), w.name, name)
				runBegan := time.Now()
				s := w.once(name, o)
				fmt.Fprintf(os.Stderr, "%.1f s %s%s\n", time.Since(runBegan).Seconds(), s.fault, s.cannot)
				all[w.name].add(name, s)
			}
		}
	}
	return all, o.rounds
}

// once runs the work on one server, if that can do it.
func (w *work) once(name string, o options) sample {
	if why := peer.Cannot(name, w.needs); why != "" {
		return sample{cannot: why}
	}
	s, err := w.run(name, o)
	if err != nil {
		s.values, s.fault = nil, firstLine(err.Error())
	}
	return s.checked()
}

// firstLine keeps an error short enough for a table.
func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s[:min(len(s), 120)]
}
