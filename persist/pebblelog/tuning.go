package pebblelog

import (
	"fmt"
	"log/slog"
	"path"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Sizes that bound what an open log costs: memory about cacheSize plus two memtables
// (of which four may wait, and then there is no cache), descriptors about maxOpenFiles.
//
// Pebble takes the memtables out of the size that it is given for its cache. A log that
// is written to has one, and another that was written and is used again: without room
// for memTablesBeside of them nothing at all would stay in the cache.
const (
	memTableSize    = 16 << 20
	memTablesQueued = 4
	memTablesBeside = 2
	cacheSize       = 32 << 20
	maxOpenFiles    = 500
)

// flushDelay is how long a range delete may stay in memory before it is flushed,
// after which compactions can drop the files it covers.
const flushDelay = 5 * time.Second

// pebbleOptions returns the options of a database behind f.
func (p *Log) pebbleOptions(f *fence) *pebble.Options {
	opts := &pebble.Options{
		FS:                          f,
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   cacheSize + int64(memTablesBeside*p.cfg.memTable),
		MaxOpenFiles:                maxOpenFiles,
		MemTableSize:                p.cfg.memTable,
		MemTableStopWritesThreshold: memTablesQueued,
		FlushDelayDeleteRange:       p.cfg.flushDelay,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		LBaseMaxBytes:               256 << 20,
		// Tables of level 0 overlap in a small part of the index only, so a high
		// stack of them is cheap to read, and never a reason to stop a writer.
		L0CompactionThreshold: 8,
		L0StopWritesThreshold: 1000,
		Logger:                pebbleLogger{f, p.cfg.logger},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) {
				p.say(slog.LevelWarn, "persist: background work of the log failed", err)
			},
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				p.say(slog.LevelError, "persist: the log is damaged; end the hub, then `spate log check` tells how much is", damaged(path.Base(info.Path)+" is damaged", info.Details))
			},
		},
	}
	p.cutTables(opts)
	opts.Experimental.EnableDeleteOnlyCompactionExcises = func() bool { return true }
	// The default scheduler looks for work ten times a second for ever, in a
	// goroutine that a failed Open leaves behind. This one grants a compaction when
	// a flush or another one ends, which is when there is any; its name tells what
	// Pebble made it for, and it does no less here.
	opts.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	for i := range opts.Levels {
		// A sparse reader pays for a block per record. With 200-byte records out of
		// 10 million, 16 KiB blocks cost it twice as much as these, and 4 KiB blocks
		// no less; who reads everything does not notice.
		opts.Levels[i].BlockSize = 8 << 10
		// The index of a table of records takes some 30 KiB. It is cut into parts with an
		// index of their own, so that a sparse reader of a log just opened reads 1 KiB of
		// it for a record. 1,000 records out of 10 million took it a sixth less processor
		// time than with one part, and a third less memory that is touched for the first
		// time; who reads everything does not notice.
		opts.Levels[i].IndexBlockSize = 1 << 10
	}
	return opts
}

// pebbleLogger takes what Pebble wants to tell.
type pebbleLogger struct {
	fence *fence
	log   *slog.Logger
}

// Infof implements [pebble.Logger]. Pebble tells much.
func (pebbleLogger) Infof(string, ...any) {}

// Errorf implements [pebble.Logger].
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Warn("persist: " + told(fmt.Errorf(format, args...)).Error())
}

// Fatalf implements [pebble.Logger]. Pebble expects it to end the process. It
// cuts the database off its directory instead: whatever Pebble does next, it does
// no harm, and the log opens a new one.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	// An error among the arguments says more than what Pebble makes of it, which may
	// be a stack.
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			l.fence.fail(err)
			return
		}
	}
	l.fence.fail(fmt.Errorf(format, args...))
}
