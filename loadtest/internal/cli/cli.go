// Package cli is the command line of the load tester.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/spatehub/spate/loadtest/internal/report"
	"github.com/spatehub/spate/loadtest/internal/run"
)

const usage = `loadtest puts a Server-Sent Events deployment under load and tells what its streams went through.

  go run ./loadtest run -url http://127.0.0.1:8080 -streams 1000 -rate 100/s -duration 30s
  go run ./loadtest run -scenario FILE.yaml
  go run ./loadtest check FILE.yaml
  go run ./loadtest agent -listen :7071 -token-file FILE
  go run ./loadtest report RESULT.json [-html FILE]
  go run ./loadtest compare A.json B.json ... [-html FILE]

  run        conduct a test              loadtest run -h lists its flags
  check      say what is wrong with a scenario, without running it
  agent      hold streams for a run on another machine (run -agents)
  report     show a stored result again
  compare    show several results side by side

Exit codes: 0 all well, 1 an -expect did not hold, 2 wrong use or the test could not start,
3 the load tester itself was the bottleneck, so the figures do not count, 4 interrupted.
docs/loadtest.md explains every figure.
`

// Main runs the command and returns its exit code. ctx ends on the user's
// interrupt.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return report.ExitUsage
	}
	var err error
	code := report.ExitOK
	switch args[0] {
	case "run":
		code, err = runCommand(ctx, args[1:], stdout, stderr)
	case "check":
		err = checkCommand(args[1:], stdout, stderr)
	case "agent":
		err = agentCommand(ctx, args[1:], stdout, stderr)
	case "report":
		err = reportCommand(args[1:], stdout, stderr)
	case "compare":
		code, err = compareCommand(args[1:], stdout, stderr)
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
	default:
		err = fmt.Errorf("there is no command %q: it is run, check, agent, report or compare", args[0])
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return report.ExitOK
	case errors.Is(err, run.ErrInterrupted):
		fmt.Fprintf(stderr, "loadtest: %v\n", err)
		return report.ExitInterrupted
	case err != nil:
		fmt.Fprintf(stderr, "loadtest: %v\n", err)
		return report.ExitUsage
	}
	return code
}

// parse reads flags and files in any order.
func parse(fs *flag.FlagSet, args []string) (files []string, err error) {
	usage := fs.Usage
	fs.Usage = func() {} // 110 flags would hide the error
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				usage()
				return nil, err
			}
			return nil, fmt.Errorf("%w; loadtest %s -h lists the flags", err, fs.Name())
		}
		if fs.NArg() == 0 {
			return files, nil
		}
		files = append(files, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

func newFlags(name, synopsis string, stderr io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are told once, by Main
	fs.Usage = func() {
		fmt.Fprintf(stderr, "usage: loadtest %s\n\n", synopsis)
		fs.SetOutput(stderr)
		fs.PrintDefaults()
		fs.SetOutput(io.Discard)
	}
	return fs
}

// pages are the files that a report or a comparison is written to as well.
type pages struct{ html, junit, markdown string }

func (p *pages) flags(fs *flag.FlagSet) {
	fs.StringVar(&p.html, "html", "", "write a page to `FILE`")
	fs.StringVar(&p.junit, "junit", "", "write what was expected, and how it came out, as JUnit XML to `FILE`")
	fs.StringVar(&p.markdown, "markdown", "", "write a summary in Markdown to `FILE`, for a CI job's page")
}

// write writes them: of one series as it is, of several as a comparison.
func (p *pages) write(list []report.Series, checks []report.Expectation) error {
	return errors.Join(
		writeFile(p.html, func(w io.Writer) error { return report.HTML(w, list...) }),
		writeFile(p.junit, func(w io.Writer) error {
			var runs []*report.Result
			for _, s := range list {
				runs = append(runs, s...)
			}
			return report.JUnit(w, runs, checks)
		}),
		writeFile(p.markdown, func(w io.Writer) error {
			if len(list) > 1 {
				report.CompareMarkdown(w, list, checks)
				return nil
			}
			for _, r := range list[0] {
				r.Markdown(w)
			}
			return nil
		}))
}

func reportCommand(args []string, stdout, stderr io.Writer) error {
	fs := newFlags("report", "report RESULT.json [-html FILE]", stderr)
	var p pages
	p.flags(fs)
	files, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return fmt.Errorf("report takes one result, made by run -json; there are %d", len(files))
	}
	s, err := report.ReadSeries(files[0])
	if err != nil {
		return err
	}
	s.Median().Table(stdout)
	s.Spread(stdout)
	return p.write([]report.Series{s}, nil)
}

func compareCommand(args []string, stdout, stderr io.Writer) (int, error) {
	fs := newFlags("compare", "compare A.json B.json ... [-tolerance p99=20%]... [-html FILE]", stderr)
	var p pages
	p.flags(fs)
	var tolerances []report.Tolerance
	fs.Func("tolerance", "fail if a figure is worse than the first run's by more than this: p99=20%, lost=0, server.rss=10MB; may be given several times", func(s string) error {
		t, err := report.ParseTolerance(s)
		tolerances = append(tolerances, t)
		return err
	})
	files, err := parse(fs, args)
	if err != nil {
		return 0, err
	}
	if len(files) < 2 {
		return 0, fmt.Errorf("compare takes two results or more, made by run -json; there are %d", len(files))
	}
	var list []report.Series
	for _, f := range files {
		s, err := report.ReadSeries(f)
		if err != nil {
			return 0, err
		}
		list = append(list, s)
	}
	code := report.ExitOK
	var checks []report.Expectation
	for _, s := range list[1:] {
		for _, t := range tolerances {
			e := t.Check(list[0], s)
			if !e.OK {
				code = report.ExitUnexpected
			}
			checks = append(checks, e)
		}
	}
	if len(tolerances) > 0 && !report.Countable(list) {
		code = report.ExitInvalid // figures that do not count are neither better nor worse
	}
	report.Compare(stdout, list, checks)
	return code, p.write(list, checks)
}

// writeFile creates a file and tells of every error, that of closing included. No
// name is no file.
func writeFile(name string, fn func(w io.Writer) error) (err error) {
	if name == "" {
		return nil
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	return fn(f)
}
