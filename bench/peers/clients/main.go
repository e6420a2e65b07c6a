//go:build linux

// Command clients puts Go clients for Server-Sent Events beside each other: events
// a second, allocations and memory on the same streams, each client in a process of
// its own with GOMAXPROCS=1, and a table of behaviours, each of which is tried. It
// writes both into docs/client.md, what spate does not do included.
//
//	go run ./clients              everything: about five minutes
//	go run ./clients -out ''      to the standard output alone
//	go run ./clients -tries sponge
package main

import (
	"flag"
	"fmt"
	"os"
)

type options struct {
	events  int
	streams int
	rounds  int
	out     string
	note    string
}

func main() {
	var o options
	flag.IntVar(&o.events, "events", 500_000, "events of each flood")
	flag.IntVar(&o.streams, "streams", 1000, "streams that are weighed")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; the table shows medians")
	flag.StringVar(&o.out, "out", "../../docs/client.md", "`page` whose tables are replaced; empty = standard output alone")
	flag.StringVar(&o.note, "note", "", "a `sentence` for the page, on what else the machine was doing")
	tries := flag.String("tries", "", "try the behaviours of this `client` alone, and print what came out")
	work := flag.String("child", "", "for the program itself: the work of this process")
	name := flag.String("client", "", "for the program itself")
	url := flag.String("url", "", "for the program itself")
	n := flag.Int("n", 0, "for the program itself")
	flag.Parse()
	var err error
	switch {
	case *work != "":
		err = child(*work, *name, *url, *n)
	case *tries != "":
		err = printTries(*tries)
	default:
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

func printTries(name string) error {
	lib, err := find(name)
	if err != nil {
		return err
	}
	for _, r := range tryAll(lib) {
		fmt.Printf("%-75s %v %s\n", r.Name, word(r), r.Fault)
	}
	return nil
}

// word is a result in the table.
func word(r result) string {
	switch {
	case r.OK:
		return "yes"
	case r.NoWay:
		return "no way"
	}
	return "**no**"
}
