package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/report"
	"github.com/spatehub/spate/loadtest/internal/run"
)

// runCommand conducts a test and writes its result to where it is wanted.
func runCommand(ctx context.Context, args []string, stdout, stderr io.Writer) (int, error) {
	c, o, err := parseRun(args, stderr)
	if err != nil {
		return 0, err
	}
	if err := o.writable(); err != nil {
		return 0, err
	}
	table := stdout
	if o.json == "-" {
		table = stderr
	}
	watch, stop, err := o.watch(&c, stderr)
	if err != nil {
		return 0, err
	}
	series, err := repeat(ctx, c, &o, watch, table, stderr)
	if len(series) > 0 { // else nothing is left of what could not start
		err = errors.Join(err, stop(nil))
	} else {
		err = stop(err)
	}
	if len(series) == 0 {
		return 0, err
	}
	series.Spread(table)
	if o.json == "-" {
		err = errors.Join(err, series.Write(stdout))
	} else {
		err = errors.Join(err, writeFile(o.json, series.Write))
	}
	return series.ExitCode(), errors.Join(err, o.pages.write([]report.Series{series}, nil))
}

// repeat conducts the test as often as is wanted, or until it fails or the user
// ends it.
func repeat(ctx context.Context, c config.Config, o *output, watch run.Watch, table, stderr io.Writer) (report.Series, error) {
	var series report.Series
	for k := range o.repeat {
		if o.repeat > 1 {
			fmt.Fprintf(stderr, "run %d of %d\n", k+1, o.repeat)
		}
		r, err := run.RunWith(ctx, c, o.security, watch)
		if err != nil {
			return series, err
		}
		r.Command = o.command
		r.Table(table)
		series = append(series, r)
		if r.Interrupted {
			break
		}
	}
	return series, nil
}

// parseRun reads the flags of run.
func parseRun(args []string, stderr io.Writer) (config.Config, output, error) {
	c, o := config.Default(), output{}
	fs := newFlags("run", "run -url URL [flags]", stderr)
	runFlags(fs, &c, &o)
	// The file first, so that what the command line says counts instead.
	if name := scenarioName(args); name != "" {
		if err := loadScenario(name, fs, &c); err != nil {
			return c, o, err
		}
	}
	rest, err := parse(fs, args)
	if err != nil {
		return c, o, err
	}
	o.command = commandLine(args)
	if o.repeat < 1 || o.repeat > 1000 {
		return c, o, fmt.Errorf("-repeat %d: give 1 to 1000", o.repeat)
	}
	if o.repeat > 1 && c.RunID != "" {
		return c, o, errors.New("-repeat and -run-id: each run needs an ID of its own")
	}
	if len(rest) > 0 {
		return c, o, fmt.Errorf("%q is no flag; run takes flags only, for example run -url http://127.0.0.1:8080", rest[0])
	}
	switch c.Adapter {
	case "none":
		c.Publish = false
	case "spate":
		c.CheckIDs = true
	}
	return c, o, nil
}

// writable makes sure that all results can be written, each to a file of its own.
func (o *output) writable() error {
	var faults []error
	by := map[string]string{}
	for _, x := range []struct{ flag, name string }{
		{"json", o.json}, {"html", o.html}, {"junit", o.junit}, {"markdown", o.markdown}, {"csv", o.csv}, {"jsonl", o.jsonl}, {"openmetrics", o.om},
	} {
		if x.name == "" {
			continue
		}
		file, err := filepath.Abs(x.name)
		if err != nil {
			file = x.name
		}
		switch {
		case x.name == "-" && x.flag != "json":
			faults = append(faults, fmt.Errorf("-%s -: only -json can be written to the standard output", x.flag))
		case by[file] != "":
			faults = append(faults, fmt.Errorf("-%s and -%s would both be written to %s", by[file], x.flag, x.name))
		default:
			if st, err := os.Stat(file); err != nil || st.Mode().IsRegular() { // a device may be given twice
				by[file] = x.flag
			}
			if err := writable(x.name); err != nil {
				faults = append(faults, fmt.Errorf("-%s: %w", x.flag, err))
			}
		}
	}
	return errors.Join(faults...)
}

// writable makes sure, before a long run, that its result can be written. It
// changes nothing.
func writable(name string) error {
	if name == "" || name == "-" {
		return nil
	}
	_, before := os.Stat(name)
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("the result could not be written: %w", err)
	}
	if errors.Is(before, os.ErrNotExist) {
		err = os.Remove(name) // a run that can't start leaves no file
	}
	return errors.Join(err, f.Close())
}

// scenarioName finds -scenario on the command line.
func scenarioName(args []string) string {
	for i, a := range args {
		name, value, joined := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(a, "-"), "-"), "=")
		switch {
		case !strings.HasPrefix(a, "-") || name != "scenario":
		case joined:
			return value
		case i+1 < len(args):
			return args[i+1]
		}
	}
	return ""
}

// checkCommand says whether a scenario can be run, without running it.
func checkCommand(args []string, stdout, stderr io.Writer) error {
	if len(args) < 1 || strings.HasPrefix(args[0], "-") {
		return errors.New("check takes a scenario: loadtest check FILE [flags of run]")
	}
	c, _, err := parseRun(append([]string{"-scenario", args[0]}, args[1:]...), stderr)
	if err != nil {
		return err
	}
	if err := run.Check(&c); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s can be run: %s, %d streams, %s, for %s", args[0], c.Adapter, c.Streams, c.Rate, c.Duration)
	for g, x := range c.Groups {
		from, to := c.GroupStreams(g)
		fmt.Fprintf(stdout, "; group %s: streams %d to %d", x.Name, from, to-1)
	}
	fmt.Fprintln(stdout)
	return nil
}
