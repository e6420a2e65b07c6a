package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spatehub/spate/persist/pebblelog"
	"github.com/spatehub/spate/wire"
)

func openLog(s streams, dir string) (*pebblelog.Log, error) {
	log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	l, err := pebblelog.Open(dir, pebblelog.WithLogger(log))
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(explainOpen(dir, err).Error(), " with --data", "")) // it is an argument here
	}
	return l, nil
}

func runLogExport(ctx context.Context, s streams, args []string) (err error) {
	flags := newFlagSet("log export [flags] DIR")
	after := flags.String("after", "", "only events after this `ID`")
	dirs, err := folders(flags, s, args, "DIR")
	if err != nil {
		return err
	}
	from := uint64(0)
	if *after != "" {
		if from, err = wire.ParseID(*after); err != nil {
			return usagef("--after %q is no event ID", *after)
		}
	}
	ctx, cancel := untilSignal(ctx, s.signals)
	defer cancel()
	n, err := pebblelog.ExportFolder(ctx, dirs[0], from, s.out)
	switch {
	case err != nil && n == 0:
		return explainLog(dirs[0], err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%w after %d events", errSignal, n)
	case err != nil:
		return fmt.Errorf("after %d events: %w", n, err)
	}
	fmt.Fprintf(s.err, "spate: %d events\n", n)
	return nil
}

func runLogImport(ctx context.Context, s streams, args []string) (err error) {
	flags := newFlagSet("log import [flags] DIR < events.ndjson")
	maxEvent := sizeValue(wire.DefaultMaxEventSize)
	flags.Var(&maxEvent, "max-event-size", "largest event's `size`, as the hub takes them")
	dirs, err := folders(flags, s, args, "DIR")
	if err != nil {
		return err
	}
	if isTerminal(s.in) {
		return usagef("give the events on the standard input")
	}
	l, err := openLog(s, dirs[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	ctx, cancel := untilSignal(ctx, s.signals)
	defer cancel()
	n, err := pebblelog.Import(ctx, l, interruptible(ctx, s.in), int(maxEvent))
	if ctx.Err() != nil && err != nil {
		return fmt.Errorf("%w; %d events are in %s", errSignal, n, dirs[0])
	}
	if err != nil {
		return fmt.Errorf("%s; %d events before that are in %s", strings.TrimPrefix(err.Error(), "persist: import: "), n, dirs[0])
	}
	fmt.Fprintf(s.err, "spate: %d events\n", n)
	return nil
}
