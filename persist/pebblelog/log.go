package pebblelog

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/floors"
)

// Log is the [persist.Log] on disk. It implements [persist.Querier], [persist.Pipeliner],
// [persist.Stats], [persist.Retainer], [persist.Counted], [persist.Listed] and [persist.Store] too.
//
// Its methods may be called by any number of goroutines; appends take turns.
//
// When the disk fails, appends fail with [persist.ErrFailed] and reading goes on. The log
// opens its directory anew, at once and then with growing pauses, and takes
// records again when that succeeds. Records of failed appends are deleted then,
// before anything else, or when the log is opened the next time. Only if the disk does not
// take a note of that either (refused.go), and the process ends, can such a record come back.
type Log struct {
	dir   string
	cfg   config    // its retention is set with maint, appending and mu held
	start time.Time // steady time is counted from here
	lock  io.Closer // of the directory, for the whole life of the log

	// Lock order: maint, appending, genMu, mu.

	// changing is not 0 while somebody waits to set the retention: steps of retention
	// then leave maint to them.
	changing atomic.Int32

	// maint is held by a step of retention and by healing: each relies on the
	// other not changing the database meanwhile.
	maint sync.Mutex

	// appending is held while a batch is built and applied, and while what batches
	// are built from is replaced.
	appending struct {
		sync.Mutex
		begun    uint64 // newest ID of a batch begun in this generation
		postings postings
	}

	// genMu guards gen, the database in use. Holding it for reading keeps that
	// database open. gen is replaced with maint, appending and genMu held, so any
	// of them is enough to read it.
	genMu  sync.RWMutex
	gen    *generation
	closed bool // guarded as gen is

	retired sync.WaitGroup // databases that were replaced, and are still being used

	// acked is the newest ID that was acknowledged: readers see no further. It is
	// stored with mu held, by whoever has seen that the batch is durable, and
	// publishes the batch to readers.
	acked atomic.Uint64

	// floor is the ID up to which readers find nothing, as retention has removed it: they
	// are told so before it is removed. It never falls. It is stored with mu held, and is
	// mu.floor, but after healing, until what came back is removed again.
	floor atomic.Uint64

	mu struct {
		sync.Mutex
		state

		// told has the floors of topics that readers were told before healing, where
		// healing has lowered them: a reader goes by the higher of the two, retention by
		// those of state alone, which are what the database has.
		told floors.Set
	}

	heal struct { // guarded by maint
		retryAt time.Time
		pause   time.Duration
		err     error // of the last attempt
	}
	// measuring is held while Pebble counts what it uses: its ways to do so race with
	// each other. No other lock is taken under it.
	measuring sync.Mutex

	reclaimAt time.Time   // when to look after disk space, zero for never; guarded by maint
	reserved  atomic.Bool // the reserve is there; set with maint held
	passed    int         // keys of the index that retention of topics has passed, deleted ones too; guarded by maint

	mark *tailMark        // what was acknowledged; set when the log is opened, as are the next two
	high uint64           // the highest ID that an earlier life may have acknowledged
	lost persist.LostTail // what of that is missing

	lazy      lazySync // for a log without sync
	reports   reports
	kick      chan struct{} // capacity 1: there may be work for the keeper
	quit      chan struct{} // closed: the keeper shall end
	done      chan struct{} // closed: it has
	closeOnce sync.Once
}

// generation is one opened database. A failure ends it; the log then opens the
// next.
type generation struct {
	db    *pebble.DB
	fence *fence
	acked uint64 // newest ID acknowledged in it; guarded by mu of the log
	heals uint64 // how often the log was healed before; set before it is used

	refusing sync.Once // notes what was refused (refused.go)

	// use is held for reading by who uses the database for long, without genMu. It is
	// closed with use held.
	use sync.RWMutex
}

// Open opens the log in a directory, which it creates if need be. Only one log
// may have it open: otherwise the error is [persist.ErrLocked]. Other errors are
// [ErrForeign], [ErrDamaged], [ErrFormat], and those of the file system.
func Open(dir string, opts ...Option) (*Log, error) {
	p := &Log{
		dir:  dir,
		cfg:  newConfig(opts),
		kick: make(chan struct{}, 1),
		quit: make(chan struct{}),
		done: make(chan struct{}),
		lazy: newLazySync(),
	}
	p.start = p.cfg.clock.Now()
	p.mu.told = newFloors(&p.cfg)
	if err := persist.CheckRetention(p.cfg.retention); err != nil {
		return nil, err
	}
	if err := p.open(); err != nil {
		return nil, fmt.Errorf("persist: open %q: %w", dir, err)
	}
	go p.keep()
	go p.syncLazily()
	return p, nil
}

func (p *Log) open() (err error) {
	if err := mkdirAll(p.cfg.fs, p.dir); err != nil {
		return err
	}
	if err := requireOurs(p.cfg.fs, p.dir); err != nil {
		return err
	}
	if p.lock, err = lockDir(p.cfg.fs, p.dir); err != nil {
		return err
	}
	if err := inspect(p.cfg.fs, p.dir); err != nil {
		return errors.Join(err, p.lock.Close())
	}
	err = p.openDatabase()
	given := full(err) && p.giveReserve()
	if given {
		wasFull := err
		if err = p.openDatabase(); err == nil {
			err = p.openTight(wasFull)
		}
	}
	if err != nil {
		if p.gen != nil {
			err = errors.Join(err, p.gen.close())
		}
		if given {
			_ = p.makeReserve() // not before: a database that is closed gives back what it had written anew
		}
		return errors.Join(err, p.lock.Close())
	}
	p.openTail(p.acked.Load())
	return nil
}

// openDatabase opens the first database and loads the state from it.
func (p *Log) openDatabase() error {
	g, err := p.openGeneration()
	if err != nil {
		return err
	}
	var st state
	var last uint64
	if err = dropRefused(g, p.cfg.fs, p.dir); err == nil {
		st, last, err = load(g, &p.cfg)
	}
	if err != nil {
		_ = g.close() // what it meets, it meets again
		return told(err)
	}
	p.gen = g
	p.mu.state = st
	p.floor.Store(st.floor)
	p.acked.Store(last)
	p.appending.begun = last
	return nil
}

// openGeneration opens a database on the directory.
func (p *Log) openGeneration() (*generation, error) {
	f, err := newFence(summed{p.cfg.fs}, p.dir, p.failed)
	if err != nil {
		return nil, err
	}
	db, err := pebble.Open(p.dir, p.pebbleOptions(f))
	if err != nil {
		f.beginClose()
		if failed := f.err(); failed != nil {
			return nil, failed
		}
		return nil, openError(p.cfg.fs, p.dir, err)
	}
	f.opened.Store(true)
	g := &generation{db: db, fence: f}
	if err := f.err(); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

// close closes the database. No reader or writer may be using it.
func (g *generation) close() error {
	g.fence.beginClose()
	return g.db.Close()
}

// apply applies a batch without waiting for the disk. If it can't, the
// generation is over.
func (g *generation) apply(b *pebble.Batch, sync bool) error {
	var err error
	if sync {
		err = g.db.ApplyNoSyncWait(b, pebble.Sync)
	} else {
		err = g.db.Apply(b, pebble.NoSync)
	}
	if err != nil {
		g.fence.fail(err)
	}
	return g.fence.err()
}

// failed is told, once for each generation, that it can't write any more.
func (p *Log) failed(err error) {
	p.say(slog.LevelError, "persist: log can't be written", err)
	p.wake()
}

// wake makes the keeper look for work.
func (p *Log) wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// First implements [persist.Log].
func (p *Log) First() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.first
}

// Last implements [persist.Log].
func (p *Log) Last() uint64 { return p.acked.Load() }

// Floor implements [persist.Log].
func (p *Log) Floor(topics []string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	floor := p.floor.Load()
	for _, t := range topics {
		_, bounded := p.mu.retention.ForTopic(t)
		floor = max(floor, p.mu.floors.Of(t, bounded), p.mu.told.Of(t, bounded))
	}
	if set := persist.NewPatternSet(topics); set.Wild() {
		floor = max(floor, p.mu.floors.Highest(set.FollowsByPattern), p.mu.told.Highest(set.FollowsByPattern))
	}
	return floor
}

// LogStats implements [persist.Stats].
func (p *Log) LogStats() persist.LogStats {
	s := persist.LogStats{Sync: p.cfg.sync, LostTail: p.lost}
	p.mu.Lock()
	s.Retention = *p.mu.retention
	s.Retention.Topics = maps.Clone(s.Retention.Topics)
	s.First, s.Last, s.Floor = p.mu.first, p.acked.Load(), p.floor.Load()
	s.Count, s.Bytes = p.mu.count, p.mu.bytes
	p.mu.Unlock()

	p.genMu.RLock()
	defer p.genMu.RUnlock()
	if p.closed {
		s.Err = persist.ErrClosed
		return s
	}
	s.DiskBytes = int64(p.metrics(p.gen).DiskSpaceUsage())
	if err := p.gen.fence.err(); err != nil {
		s.Err = failure(err)
	}
	return s
}

// metrics returns the figures of a database.
func (p *Log) metrics(g *generation) *pebble.Metrics {
	p.measuring.Lock()
	defer p.measuring.Unlock()
	return g.db.Metrics()
}

// failure is the error of a log that can't write because of err.
func failure(err error) error { return fmt.Errorf("%w: %w", persist.ErrFailed, err) }

// Close implements [persist.Log]. It waits for appends and reads that are under way. A
// log that has failed makes a last attempt to delete what failed appends left.
func (p *Log) Close() (err error) {
	p.closeOnce.Do(func() {
		if err = p.close(); err != nil {
			err = fmt.Errorf("persist: close %q: %w", p.dir, err)
		}
	})
	return err
}

func (p *Log) close() error {
	close(p.quit)
	<-p.done
	<-p.lazy.done

	p.maint.Lock()
	defer p.maint.Unlock()
	p.syncLocked()
	p.heal.retryAt = time.Time{}
	healErr := p.healLocked()
	p.appending.Lock()
	p.genMu.Lock()
	p.closed = true
	p.genMu.Unlock()
	p.appending.Unlock()

	p.gen.use.Lock()
	err := p.gen.close()
	p.retired.Wait()
	if healErr == nil {
		// Pebble's own word counts only if its files took what it wrote.
		err = errors.Join(err, p.gen.fence.err())
	}
	if p.gen.fence.err() != nil {
		p.refuse(p.gen) // before who waits for a batch comes to it, and finds the mark closed
	}
	p.mark.close(err == nil && healErr == nil)
	return errors.Join(err, healErr, p.lock.Close())
}

// syncLocked makes durable what was acknowledged without sync, so that a failure
// comes while there is still something to be done about it. maint is held.
func (p *Log) syncLocked() {
	if !p.cfg.sync {
		_ = p.gen.sync() // the fence knows
	}
}

// lockDir locks a directory against other logs.
func lockDir(fs vfs.FS, dir string) (io.Closer, error) {
	lock, err := fs.Lock(fs.PathJoin(dir, "LOCK"))
	switch {
	case err == nil:
		return lock, nil
	case strings.Contains(err.Error(), "lock held by current process"):
		return nil, fmt.Errorf("%w by another log of this process", persist.ErrLocked)
	case err == error(syscall.EAGAIN) || err == error(syscall.EACCES):
		// A bare error number is that of the lock; a file that can't be opened
		// has an error with its path.
		return nil, fmt.Errorf("%w by another process", persist.ErrLocked)
	default:
		return nil, err
	}
}

// mkdirAll creates a directory with its parents so that they survive a power cut.
func mkdirAll(fs vfs.FS, dir string) error {
	var missing []string
	for d := dir; ; d = fs.PathDir(d) {
		if _, err := fs.Stat(d); err == nil || d == fs.PathDir(d) {
			break
		}
		missing = append(missing, d)
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, d := range missing {
		if err := syncDir(fs, fs.PathDir(d)); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
