// Command spate is the standalone hub, and the tools to try it.
//
//	spate serve --demo      start a hub on http://127.0.0.1:8080 and open its dashboard
//	spate push 'hello'      push an event to everyone
//	spate tail --topic cpu  print events as they come
//	spate log check data    read all of a log and say what is damaged
//	spate health            ask a hub whether it works, for probes
//
// Every flag of `spate serve` can be given in the environment as well: --log-level is SPATE_LOG_LEVEL; and in a file with
// settings. A flag wins, then the environment.
// Exit codes: 0 done, 1 something failed, 2 wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// streams are the standard streams and environment of a command, which tests replace.
type streams struct {
	in       io.Reader
	out, err io.Writer
	env      func(name string) (string, bool)
	environ  func() []string  // all of it, as os.Environ; nil: not known
	signals  <-chan os.Signal // interrupts and terminations, in the order they came
	hangups  <-chan os.Signal // asks to read settings again; nil: none come
	flags    func(*flagSet)   // gets the command's flags instead of the command being run; nil: it is run
}

// command is one of spate's subcommands. run returns nil, flag.ErrHelp, a *usageError, or any other error.
type command struct {
	name, args, summary string
	run                 func(ctx context.Context, s streams, args []string) error
}

// commands in the order of the help text.
func commands() []command {
	return []command{
		{"serve", "[flags]", "run the hub", runServe},
		{"push", "[flags] [data|-]", "push an event to a hub and print its ID", runPush},
		{"tail", "[flags]", "print a hub's events as they come", runTail},
		{"config", "check FILE", "say all that is wrong with a file of settings", runConfig},
		{"token", "", "make a token, and what a file of tokens keeps of it", runToken},
		{"log", "<command> ...", "check, back up, restore, repair, export or import a log", runLog},
		{"health", "[flags]", "ask a hub whether it works", runHealth},
		{"completion", "bash|zsh|fish", "print a shell's completions", runCompletion},
		{"man", "", "print the manual page", runMan},
		{"version", "", "print the version", runVersion},
	}
}

func main() {
	var signals, hangups <-chan os.Signal
	if len(os.Args) > 1 {
		signals, hangups = signaled(os.Args[1])
	}
	os.Exit(run(os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.LookupEnv, environ: os.Environ, signals: signals, hangups: hangups}))
}

// run runs one command line and returns the exit code.
func run(args []string, s streams) int {
	if len(args) == 0 {
		printHelp(s.err)
		return exitUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		printHelp(s.out)
		return exitOK
	case "-version", "--version":
		name = "version"
	}
	for _, c := range commands() {
		if c.name == name {
			if err := checkEnvironment(s); err != nil {
				return report(s, c, err)
			}
			return report(s, c, c.run(context.Background(), s, args))
		}
	}
	fmt.Fprintf(s.err, "spate: there is no command %q; `spate help` lists them\n", name)
	return exitUsage
}

// report says what went wrong, in one line, and turns it into an exit code.
func report(s streams, c command, err error) int {
	var usage *usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(s.err, "spate %s: %v\nUsage: spate %s %s; `spate %s --help` lists the flags\n", c.name, err, c.name, c.args, c.name)
		return exitUsage
	default:
		fmt.Fprintf(s.err, "spate %s: %v\n", c.name, err)
		return exitFailed
	}
}

func printHelp(w io.Writer) {
	fmt.Fprint(w, "spate pushes Server-Sent Events to very many connections.\n\nUsage:\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  spate %-10s %-17s %s\n", c.name, c.args, c.summary)
	}
	fmt.Fprint(w, "\n`spate <command> --help` lists a command's flags.\n")
}

// usageError is a command line that cannot be meant.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }
