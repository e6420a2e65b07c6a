package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/pebblelog"
)

// logCommands are the commands under `spate log`, in the order of the help text.
func logCommands() []command {
	return []command{
		{"log check", "DIR", "read all of a log and say what is damaged", runLogCheck},
		{"log backup", "[--url URL [NAME] | --data DIR TARGET]", "copy the log of a running hub, or of a folder", runLogBackup},
		{"log restore", "BACKUP DIR", "make a log of a backup, and check it", runLogRestore},
		{"log repair", "DIR NEW", "salvage what can be read into a new folder", runLogRepair},
		{"log export", "[flags] DIR", "write the events as NDJSON", runLogExport},
		{"log import", "[flags] DIR", "read NDJSON from the standard input into a log", runLogImport},
	}
}

// runLog runs one of the commands under `spate log`.
func runLog(ctx context.Context, s streams, args []string) error {
	if len(args) == 0 {
		return usagef("give one of check, backup, restore, repair, export, import")
	}
	name, args := args[0], args[1:]
	if name == "help" || name == "-h" || name == "-help" || name == "--help" {
		printLogHelp(s.out)
		return flag.ErrHelp
	}
	for _, c := range logCommands() {
		if c.name != "log "+name {
			continue
		}
		err := c.run(ctx, s, args)
		var usage *usageError
		if errors.As(err, &usage) {
			return usagef("%s: %s (spate %s %s)", name, usage.text, c.name, c.args)
		}
		return err
	}
	return usagef("there is no command %q; give one of check, backup, restore, repair, export, import", name)
}

func printLogHelp(w io.Writer) {
	fmt.Fprint(w, "Usage: spate log <command> ...\n\n")
	for _, c := range logCommands() {
		fmt.Fprintf(w, "  spate %s %s\n        %s\n", c.name, c.args, c.summary)
	}
}

// folders takes the arguments of a command as names of folders.
func folders(fs *flagSet, s streams, args []string, names ...string) ([]string, error) {
	if err := fs.parse(s, args); err != nil {
		return nil, err
	}
	if fs.NArg() != len(names) {
		return nil, usagef("give %s", strings.Join(names, " and "))
	}
	for i, name := range names {
		if fs.Arg(i) == "" {
			return nil, usagef("%s must not be empty", name)
		}
	}
	return fs.Args(), nil
}

// printReport writes what was found of a log, and returns whether it is whole.
func printReport(w io.Writer, r pebblelog.Report) (whole bool) {
	fmt.Fprintf(w, "records   %d, IDs %d to %d, %d bytes\ntables    %d\nruns      %d\n", r.Records, r.First, r.Last, r.Bytes, r.Tables, r.Runs)
	if r.Floor > 0 {
		fmt.Fprintf(w, "removed   by retention up to ID %d\n", r.Floor)
	}
	for _, line := range r.Damaged {
		fmt.Fprintf(w, "damage    %s\n", line)
	}
	if l := r.LostTail; l.To != 0 {
		fmt.Fprintf(w, "lost      the end: IDs %d to %d, at least %d acknowledged records\n", l.From, l.To, l.Records)
	}
	return r.Whole()
}

// runLogCheck fails where anything is damaged or missing.
func runLogCheck(ctx context.Context, s streams, args []string) error {
	dirs, err := folders(newFlagSet("log check DIR"), s, args, "DIR")
	if err != nil {
		return err
	}
	ctx, cancel := untilSignal(ctx, s.signals)
	defer cancel()
	r, err := pebblelog.Check(ctx, dirs[0])
	if err != nil {
		return explainLog(dirs[0], err)
	}
	if printReport(s.out, r) {
		fmt.Fprintln(s.out, "whole")
		return nil
	}
	if len(r.Damaged) == 0 {
		return fmt.Errorf("%s has lost its end, and works: the next start of a hub goes on above it, and clients that had got what is lost are told of a gap", dirs[0])
	}
	return fmt.Errorf("%s is damaged: restore a backup, or salvage what can be read with: spate log repair %s NEW", dirs[0], dirs[0])
}

func runLogRestore(ctx context.Context, s streams, args []string) error {
	dirs, err := folders(newFlagSet("log restore BACKUP DIR"), s, args, "BACKUP", "DIR")
	if err != nil {
		return err
	}
	ctx, cancel := untilSignal(ctx, s.signals)
	defer cancel()
	r, err := pebblelog.Restore(ctx, dirs[0], dirs[1])
	if err != nil {
		return explainTarget(dirs[0], dirs[1], err)
	}
	if !printReport(s.out, r) {
		return fmt.Errorf("the copy in %s is not whole; take another backup, or: spate log repair %s NEW", dirs[1], dirs[1])
	}
	fmt.Fprintf(s.out, "whole; start the hub with --data %s\n", dirs[1])
	return nil
}

// runLogRepair succeeds where something could be salvaged; what is lost is told.
func runLogRepair(ctx context.Context, s streams, args []string) error {
	dirs, err := folders(newFlagSet("log repair DIR NEW"), s, args, "DIR", "NEW")
	if err != nil {
		return err
	}
	ctx, cancel := untilSignal(ctx, s.signals)
	defer cancel()
	r, err := pebblelog.Repair(ctx, dirs[0], dirs[1])
	if err != nil {
		return explainTarget(dirs[0], dirs[1], err)
	}
	printReport(s.out, r)
	fmt.Fprintf(s.out, "salvaged into %s; start the hub with --data %s, and keep %s until all is well\n", dirs[1], dirs[1], dirs[0])
	return nil
}

// explainLog says in one line what to do about a folder that is read.
func explainLog(dir string, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%w; nothing was made", errSignal)
	case errors.Is(err, pebblelog.ErrDamaged):
		return explainOpen(dir, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %s", dir)
	case errors.Is(err, persist.ErrLocked):
		return fmt.Errorf("the folder %s is in use by a hub; end that one, or ask it for a backup (spate log backup --url) and use that", dir)
	case errors.Is(err, pebblelog.ErrForeign):
		return fmt.Errorf("the folder %s has no log: %s", dir, cause(err))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no permission to read the folder %s", dir)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s is no folder", dir)
	}
	return explainOpen(dir, err)
}

// explainTarget is explainLog where a new folder is made of one.
func explainTarget(dir, target string, err error) error {
	path, why := targetTrouble(target, err)
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("no space left for the folder %s; make room, or give one elsewhere", target)
	case why == nil:
		return explainLog(dir, err)
	case errors.Is(why, fs.ErrExist):
		return fmt.Errorf("%s exists: give a new folder", target)
	case errors.Is(why, syscall.EROFS):
		return fmt.Errorf("the folder %s would be on a read-only file system; give one elsewhere", target)
	case errors.Is(why, fs.ErrPermission):
		return fmt.Errorf("no permission to make the folder %s; give one elsewhere", target)
	case errors.Is(why, syscall.ENOTDIR) && filepath.Clean(path) == filepath.Clean(target):
		return fmt.Errorf("%s is no folder; give a new one", target)
	}
	return fmt.Errorf("cannot make the folder %s: %s; give another one", target, strings.ReplaceAll(why.Error(), "\n", "; "))
}

// targetTrouble returns what is wrong with a folder that is to be made, or with those around it, and its path; nil where the
// trouble is elsewhere.
func targetTrouble(target string, err error) (path string, why error) {
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &link):
		path, why = link.New, link.Err
	case errors.As(err, &at):
		path, why = at.Path, at.Err
	}
	if why == nil {
		return "", nil
	}
	path, target = filepath.Clean(path), filepath.Clean(target)
	below := func(a, b string) bool { return a == b || strings.HasPrefix(a, b+string(filepath.Separator)) }
	if below(target, path) || below(path, target) || below(path, target+".partial") || below(path, target+".salvage") {
		return path, why
	}
	return "", nil
}
