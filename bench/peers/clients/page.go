//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// The tables stand between these lines of the page.
const (
	beginMark = "<!-- made by make bench-clients: begin -->"
	endMark   = "<!-- made by make bench-clients: end -->"
)

// run measures in turns, round after round, tries everything, and writes the page.
func run(o options) error {
	start := time.Now()
	src := newSource()
	defer src.Close()
	floods, idles := map[string][]figures{}, map[string][]figures{}
	tries := map[string][]result{}
	for round := range o.rounds {
		for _, lib := range libraries() {
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, o.rounds, lib.Name)
			var flood, idle figures
			if err := spawn(&flood, "-child", "flood", "-client", lib.Name, "-url", src.URL, "-n", fmt.Sprint(o.events)); err != nil {
				return err
			}
			if err := spawn(&idle, "-child", "idle", "-client", lib.Name, "-url", src.URL, "-n", fmt.Sprint(o.streams)); err != nil {
				return err
			}
			floods[lib.Name], idles[lib.Name] = append(floods[lib.Name], flood), append(idles[lib.Name], idle)
		}
	}
	for _, lib := range libraries() {
		if lib.Name == "spate, zero copy" {
			continue // the same client
		}
		fmt.Fprintf(os.Stderr, "behaviours: %s\n", lib.Name)
		tries[lib.Name] = tryAll(lib)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", beginMark)
	fmt.Fprintf(&b, "Measured on %s, in %v, by `make bench-clients`: %s, %s, %s/%s. %d events of %d bytes over loopback and HTTP/1.1, each\n"+
		"client in a process of its own with GOMAXPROCS=1; medians of %d rounds, lowest and highest in brackets. %s.%s\n\n",
		start.UTC().Format("2 January 2006, 15:04 UTC"), time.Since(start).Round(time.Second), cpu(), runtime.Version(), runtime.GOOS, runtime.GOARCH,
		o.events, eventSize, o.rounds, versions(), strings.TrimRight(" "+o.note, " "))
	speedTable(&b, floods, idles)
	behaviourTable(&b, tries)
	fmt.Fprintf(&b, "\n%s\n", endMark)
	fmt.Print(b.String())
	if o.out == "" {
		return nil
	}
	return replace(o.out, b.String())
}

func speedTable(b *strings.Builder, floods, idles map[string][]figures) {
	b.WriteString("| client | events/s of CPU time | events/s of the clock | allocations/event | bytes/event | KiB/open stream | goroutines/open stream |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, lib := range libraries() {
		f, i := floods[lib.Name], idles[lib.Name]
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s |\n", lib.Name,
			spread(f, func(x figures) float64 { return float64(x.Events) / x.CPU.Seconds() / 1e3 }, "%.0f k"),
			spread(f, func(x figures) float64 { return float64(x.Events) / x.Wall.Seconds() / 1e3 }, "%.0f k"),
			median(f, func(x figures) float64 { return x.Allocs }, "%.1f"),
			median(f, func(x figures) float64 { return x.Bytes }, "%.0f"),
			spread(i, func(x figures) float64 { return x.Resident / 1024 }, "%.1f"),
			median(i, func(x figures) float64 { return x.Goroutines }, "%.1f"))
	}
}

func behaviourTable(b *strings.Builder, tries map[string][]result) {
	b.WriteString("\n*No way*: the client has no setting for it.\n\n| |")
	var names []string
	for _, lib := range libraries() {
		if tries[lib.Name] != nil {
			names = append(names, lib.Name)
			fmt.Fprintf(b, " %s |", lib.Name)
		}
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", len(names)+1) + "\n")
	counts := make([]int, len(names))
	for i, behaviour := range behaviours {
		if i == 0 || behaviour.group != behaviours[i-1].group {
			fmt.Fprintf(b, "| **%s** |%s\n", behaviour.group, strings.Repeat(" |", len(names)))
		}
		fmt.Fprintf(b, "| %s |", behaviour.name)
		for n, name := range names {
			r := tries[name][i]
			if r.OK {
				counts[n]++
			}
			fmt.Fprintf(b, " %s |", word(r))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(b, "| yes, of %d |", len(behaviours))
	for _, n := range counts {
		fmt.Fprintf(b, " %d |", n)
	}
	b.WriteString("\n")
}

func sorted(all []figures, of func(figures) float64) []float64 {
	var values []float64
	for _, f := range all {
		values = append(values, of(f))
	}
	slices.Sort(values)
	return values
}

func median(all []figures, of func(figures) float64, format string) string {
	v := sorted(all, of)
	return fmt.Sprintf(format, v[len(v)/2])
}

func spread(all []figures, of func(figures) float64, format string) string {
	v := sorted(all, of)
	return fmt.Sprintf(format+" ("+format+" to "+format+")", v[len(v)/2], v[0], v[len(v)-1])
}

func cpu() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // none: unknown
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return fmt.Sprintf("%d × %s", runtime.NumCPU(), strings.TrimLeft(strings.TrimSpace(name), ": "))
		}
	}
	return "an unknown processor"
}

// versions lists the modules of the others.
func versions() string {
	var all []string
	for _, lib := range libraries() {
		if lib.Module == "" {
			continue
		}
		text, err := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Version}}", lib.Module).Output()
		if err != nil {
			text = []byte(lib.Module)
		}
		all = append(all, strings.TrimSpace(string(text)))
	}
	return strings.Join(all, ", ")
}

// replace puts text between the marks of a page.
func replace(path, text string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin, end := bytes.Index(page, []byte(beginMark)), bytes.Index(page, []byte(endMark))
	if begin < 0 || end < begin {
		return fmt.Errorf("%s has no lines %q and %q", path, beginMark, endMark)
	}
	return os.WriteFile(path, slices.Concat(page[:begin], []byte(strings.TrimSuffix(text, "\n")), page[end+len(endMark):]), 0o644)
}
