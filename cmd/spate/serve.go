package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spatehub/spate/cmd/spate/internal/demo"
	"github.com/spatehub/spate/cmd/spate/internal/procfs"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/pebblelog"
)

// runServe runs the hub until it fails or a signal ends it.
func runServe(ctx context.Context, s streams, args []string) error {
	c, err := parseServe(s, args)
	if err != nil {
		return err
	}
	if c.printConfig {
		return c.settings.print(s.out)
	}
	log, level := c.levelLogger(s)
	access := newAccess(c, log)
	defer access.close()
	certs, err := c.secure(log, access)
	if err != nil {
		return err
	}
	listener, err := c.openListener(ctx)
	if err != nil {
		return err
	}
	defer listener.Close() // closed before by the server; again to no effect
	store, err := openStore(c, log)
	if err != nil {
		return err
	}
	others, err := c.joinOthers(ctx, access, log)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	defer others.close()
	var uring rings
	hub := engine.NewHub(slices.Concat(c.hubOptions(log, store), others.options(), uring.options(c.ioUring))...)
	defer hub.Close() // closes the store too
	if uring.err != nil {
		return uring.err
	}
	once, err := c.once(ctx, hub)
	if err != nil {
		return explainRead(c.data, err)
	}
	stats := &statsSource{hub: hub, log: store, cluster: others, name: c.cluster.hubName(listener.Addr()), demo: c.demo, started: time.Now(), quiet: !access.open, known: access.shared.known}
	drainCtx, cutDrain := context.WithCancel(ctx)
	defer cutDrain()
	drain := newDrainer(drainCtx, c.drain, hub, s.err)
	drain.quiet, drain.ready = !access.open, stats.ready
	past, board, rates, former := stats.newOverview(), newSettingsBoard(c.settings), newTopicRates(hub), &formerTopics{}
	server := newServer(c, hub, access, stats, parts{drain, once, past, board, rates, former}, log)
	if err := others.meet(stats.self); err != nil {
		return err
	}
	server.Protocols = c.protocols()

	var running sync.WaitGroup
	feedCtx, stopFeed := context.WithCancel(ctx)
	defer running.Wait()
	defer stopFeed()
	running.Go(func() { past.Run(feedCtx, rates.look) })
	go former.load(feedCtx, hub, log) // not waited for: a disk that hangs must not keep the process
	if access.shared != nil {
		running.Go(func() { access.shared.run(feedCtx) })
	}
	if c.demo {
		running.Go(func() { demo.Run(feedCtx, hub, log, feedSources(s, stats)...) })
	}
	failed := make(chan error, 1)
	running.Go(func() { failed <- serveOn(server, c.wrap(listener, access.proxies), certs) })
	announce(s, c, listener.Addr())
	keeper := newKeeper(store, log)
	go keeper.run(feedCtx) // not waited for: a disk that hangs must not keep the process
	reloader := newReloader(s, args, c, log, level, access, hub, keeper, certs, board)

	sig, err := untilEnded(s, failed, reloader)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.err, "spate: %v, draining for up to %v; once more ends at once\n", sig, c.drain.longest())
	stopFeed()
	drain.begin()
	return drain.shutdown(server, s)
}

// joinOthers reads what was revoked, with the folder taken, and connects the hub to its cluster, where it is one of several.
func (c *serveConfig) joinOthers(ctx context.Context, access *access, log *slog.Logger) (*joined, error) {
	if !c.memory {
		if err := access.keep(c.data); err != nil {
			return nil, err
		}
	}
	others, err := c.cluster.join(ctx, log)
	if err != nil {
		return nil, err
	}
	if err := access.share(others, log); err != nil {
		others.close()
		return nil, err
	}
	return others, nil
}

// untilEnded reloads the settings at each hangup, until a signal ends the hub or the server fails.
func untilEnded(s streams, failed <-chan error, reloader *reloader) (os.Signal, error) {
	for {
		select {
		case err := <-failed:
			return nil, fmt.Errorf("the server ended: %w", err)
		case <-s.hangups:
			reloader.reload()
		case sig := <-s.signals:
			return sig, nil
		}
	}
}

// keepAlive is how often idle connections are probed, as net.ListenConfig has it. Where heartbeats are sent none are:
// what was sent and is not acknowledged finds a dead peer of a stream, raw or portable, and while it is outstanding the
// kernel does not probe; the server's time-outs find all others. Probes would cost three system calls a connection.
func (c *serveConfig) keepAlive() time.Duration {
	if c.heartbeat > 0 {
		return -1
	}
	return 0 // package net's default
}

// store is what the hub keeps its events in.
type store interface {
	persist.Store
	persist.Log
	persist.Stats
	persist.Retainer
}

func openStore(c *serveConfig, log *slog.Logger) (store, error) {
	if c.memory {
		return persist.NewMemory(persist.WithRetention(c.logRetention()), persist.WithLogger(log)), nil
	}
	p, err := pebblelog.Open(c.data, pebblelog.WithRetention(c.logRetention()), pebblelog.WithSync(!c.noSync && !c.cluster.on()), pebblelog.WithLogger(log))
	if err != nil {
		return nil, explainOpen(c.data, err)
	}
	if c.backupDir != "" {
		if err := p.CheckBackupFolder(c.backupDir); err != nil {
			return nil, errors.Join(fmt.Errorf("--backup-dir %s: %s", c.backupDir, cause(err)), p.Close())
		}
	}
	return p, nil
}

// explainOpen says in one line what to do about a folder that cannot be opened.
func explainOpen(dir string, err error) error {
	switch {
	case errors.Is(err, persist.ErrLocked):
		return fmt.Errorf("the folder %s is in use by another hub; end that one, or choose another folder with --data", dir)
	case errors.Is(err, pebblelog.ErrForeign):
		return fmt.Errorf("the folder %s is not taken for a log: %s; choose an empty or a new folder with --data", dir, cause(err))
	case errors.Is(err, pebblelog.ErrFormat):
		return fmt.Errorf("the folder %s can't be read by this program: %s; use the one that wrote it, or a later one, or let that one export the log (spate log export) and import it into a new folder", dir, cause(err))
	case errors.Is(err, pebblelog.ErrDamaged):
		return fmt.Errorf("the folder %s: %s; nothing was changed: %s", dir, cause(err), waysOut(dir))
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("the folder %s is on a read-only file system; mount it for writing (a disk with errors is made read-only by the system: its own log tells), or choose another folder with --data", dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no permission to write to the folder %s; change its owner or mode, or choose another folder with --data (or --memory for none)", dir)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is no folder; choose another one with --data", dir)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("no space left for the folder %s; make room, shorten the retention so that something can be removed, or choose another folder with --data", dir)
	}
	return fmt.Errorf("cannot open the log in %s: %s", dir, cause(err))
}

// explainRead says in one line what to do about a log that was opened and cannot be read.
func explainRead(dir string, err error) error {
	if errors.Is(err, pebblelog.ErrDamaged) {
		return fmt.Errorf("the folder %s: %w; %s", dir, err, waysOut(dir))
	}
	return err
}

// waysOut is what can be done about a folder that is damaged.
func waysOut(dir string) string {
	return "restore a backup, or salvage what can be read into a new folder with: spate log repair " + dir + " NEW-FOLDER"
}

// cause is the text of what went wrong with a log, without where.
func cause(err error) string {
	text := err.Error()
	if _, rest, ok := strings.Cut(text, "\": "); ok {
		text = rest
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

// feedSources measure the machine where it has a /proc, and else the process alone.
func feedSources(s streams, stats *statsSource) []demo.Source {
	proc := procfs.FS(procfs.Root)
	self := demo.NewSelf(proc, stats.started, stats.hub.Stats)
	if proc.Available() {
		return []demo.Source{demo.NewMachine(proc), self}
	}
	fmt.Fprintf(s.err, "spate: no %s on this system: the demo feed tells the hub's own process instead of the machine\n", procfs.Root)
	return []demo.Source{demo.NewRuntime(), self}
}

// announce prints what to open.
func announce(s streams, c *serveConfig, addr net.Addr) {
	scheme, host := "http://", addr.String()
	if c.tls.on() {
		scheme = "https://"
	}
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() { // any of the machine's, this one too
		host = net.JoinHostPort("localhost", strconv.Itoa(tcp.Port))
	}
	base := scheme + host
	kept := "in " + c.data
	switch {
	case c.memory:
		kept = "in memory alone"
	case c.cluster.on():
		kept += ", as a replica of the stream " + c.cluster.stream
	case c.noSync:
		kept += ", not synced"
	}
	query := "?uid=u1"
	if c.demo {
		query = "?topic=" + strings.Join(demo.Topics, "&topic=")
	}
	fmt.Fprintf(s.out, "spate %s\n  dashboard  %s/\n  stream     %s/events%s\n  push       %s/push\n  figures    %s/stats  %s/metrics  %s/healthz\n  events     %s\n",
		version(), base, base, query, base, base, base, base, kept)
}
