//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spatehub/spate/bench/peers/internal/peer"
)

// The tables stand between these lines of the page.
const (
	beginMark = "<!-- made by make bench-peers: begin -->"
	endMark   = "<!-- made by make bench-peers: end -->"
)

// page writes everything: where, what and how, and one table for each work.
func page(o options, all map[string]*results, start time.Time, took time.Duration, whole int, loaded string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", beginMark)
	fmt.Fprintf(&b, "Measured on %s, in %d min %d s.\n\n", start.UTC().Format("2 January 2006, 15:04 UTC"), int(took.Minutes()), int(took.Seconds())%60)
	if whole < o.rounds {
		fmt.Fprintf(&b, "The time was up after %d of %d rounds: of some works and servers there is a run more.\n\n", whole, o.rounds)
	}
	if o.note != "" {
		fmt.Fprintf(&b, "%s\n\n", o.note)
	}
	fmt.Fprintf(&b, "| | |\n| --- | --- |\n")
	for _, line := range [][2]string{
		{"command", "`" + command(o) + "`"},
		{"spate", revision()},
		{"machine", machine(loaded)},
		{"Go", runtime.Version()},
		{"peers", versions(o.servers)},
		{"runs", fmt.Sprintf("rounds over all servers in turns: %d, each run publishing for %v; medians, and ± half the distance between the quartiles where there are three rounds or more", whole, o.span)},
		{"not on the machine", strings.Join(o.missing, "<br>")},
	} {
		if line[1] == "" {
			continue
		}
		fmt.Fprintf(&b, "| %s | %s |\n", line[0], line[1])
	}
	for i := range works {
		if r := all[works[i].name]; r != nil {
			r.table(&b, &works[i], o)
		}
	}
	if a, b2 := all["steady"], all["loadtest"]; a != nil && b2 != nil {
		b.WriteString(agreement(a, b2))
	}
	fmt.Fprintf(&b, "\n%s\n", endMark)
	return b.String()
}

// command is what makes this page again.
func command(o options) string {
	s := "make bench-peers"
	if o.short {
		s += " SHORT=1"
	}
	var args []string
	if len(o.servers)+len(o.missing) != len(allServers()) {
		args = append(args, "-servers "+strings.Join(o.servers, ","))
	}
	if !slices.Equal(o.works, workNames()) {
		args = append(args, "-works "+strings.Join(o.works, ","))
	}
	usual := usualSize(o.short)
	if o.rounds != usual.rounds {
		s += fmt.Sprintf(" ROUNDS=%d", o.rounds)
	}
	if o.span != usual.span {
		args = append(args, fmt.Sprintf("-span %v", o.span))
	}
	if o.limit != usualLimit {
		args = append(args, fmt.Sprintf("-limit %v", o.limit))
	}
	if o.out == thePage && !slices.Equal(o.works, workNames()) {
		args = append(args, "-out "+thePage)
	}
	if len(args) > 0 {
		s += " ARGS='" + strings.Join(args, " ") + "'"
	}
	return s
}

// revision is the commit of the working tree.
func revision() string {
	text, err := exec.Command("git", "describe", "--always", "--dirty", "--tags").Output()
	if err != nil {
		return "unknown revision"
	}
	return strings.TrimSpace(string(text))
}

func machine(load string) string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	var u unix.Utsname
	_ = unix.Uname(&u)
	return fmt.Sprintf("%d × %s, Linux %s; the server on one, the load on another, loopback; load average %s when it began",
		runtime.NumCPU(), model, unix.ByteSliceToString(u.Release[:]), load)
}

// loadAverage is that of the last minute, as the kernel counts it.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// versions lists the peers' modules as they were built in.
func versions(servers []string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	found := map[string]string{}
	for _, m := range info.Deps {
		found[m.Path] = m.Version
	}
	var list []string
	for _, p := range peer.All() {
		switch {
		case !slices.Contains(servers, p.Name):
			continue
		case p.Module != "":
			list = append(list, p.Name+" = "+p.Module+" "+found[p.Module])
		default:
			list = append(list, p.Name+" = "+p.What)
		}
	}
	return strings.Join(list, "<br>")
}

// replace puts the tables into the page in place of the former ones; a page without them gets them at its end.
func replace(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	before, rest, found := strings.Cut(string(old), beginMark)
	_, after, ended := strings.Cut(rest, endMark+"\n")
	if found != ended {
		return fmt.Errorf("%s has only one of the marks around its tables", path)
	}
	if !found && before != "" {
		before = strings.TrimRight(before, "\n") + "\n\n"
	}
	return os.WriteFile(path, []byte(before+text+after), 0o644)
}

// number writes v with a fixed number of digits after the point, and thousands apart.
func number(v float64, digits int) string {
	s := strconv.FormatFloat(v, 'f', digits, 64)
	whole, fraction, _ := strings.Cut(s, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return sign + whole
}
