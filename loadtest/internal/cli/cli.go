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
  go run ./loadtest report RESULT.json [-html FILE]
  go run ./loadtest compare A.json B.json ... [-html FILE]

  run        conduct a test              loadtest run -h lists its flags
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
	case "report":
		err = reportCommand(args[1:], stdout, stderr)
	case "compare":
		err = compareCommand(args[1:], stdout, stderr)
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
	default:
		err = fmt.Errorf("there is no command %q: it is run, report or compare", args[0])
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

func reportCommand(args []string, stdout, stderr io.Writer) error {
	fs := newFlags("report", "report RESULT.json [-html FILE]", stderr)
	html := fs.String("html", "", "write the report as a page to `FILE`")
	files, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return fmt.Errorf("report takes one result, made by run -json; there are %d", len(files))
	}
	r, err := report.Read(files[0])
	if err != nil {
		return err
	}
	r.Table(stdout)
	if *html != "" {
		return writeFile(*html, func(w io.Writer) error { return report.HTML(w, []*report.Result{r}) })
	}
	return nil
}

func compareCommand(args []string, stdout, stderr io.Writer) error {
	fs := newFlags("compare", "compare A.json B.json ... [-html FILE]", stderr)
	html := fs.String("html", "", "write the comparison as a page to `FILE`")
	files, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(files) < 2 {
		return fmt.Errorf("compare takes two results or more, made by run -json; there are %d", len(files))
	}
	var list []*report.Result
	for _, f := range files {
		r, err := report.Read(f)
		if err != nil {
			return err
		}
		list = append(list, r)
	}
	report.Compare(stdout, list)
	if *html != "" {
		return writeFile(*html, func(w io.Writer) error { return report.HTML(w, list) })
	}
	return nil
}

// writeFile creates a file and tells of every error, that of closing included.
func writeFile(name string, fn func(w io.Writer) error) (err error) {
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
