package pebblelog

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fence is the file system that one opened database works on. It passes
// everything on to the real one, until a call fails that changes something. From
// then on nothing reaches the real file system any more but reads, and what the
// database still writes goes to memory and is thrown away with it.
//
// The reason: Pebble cannot live with an error of its log or manifest. It
// panics while it holds its mutexes, or ends the process, and neither can be
// recovered from. Behind a fence it never sees such an error; it goes on in a
// world of its own and can be closed in the normal way, without a lock or a
// goroutine left behind. Whoever waits for a write asks the fence, not Pebble,
// whether it came through: a write that was reported as done before the fence
// failed did reach the real file system. The directory is left just as a crash at
// the moment of the failure would leave it, and a new database on it recovers as
// it would from that crash, even before the old one is closed.
//
// Rejected: recovering the panic. The mutex of Pebble's commit pipeline stays
// locked, so that the old database can't be closed, and its compactions go on
// writing to the directory that the new one is opened on.
type fence struct {
	vfs.FS             // the real one
	dir    string      // the only one that is fenced
	mem    *vfs.MemFS  // what is created after the failure
	onFail func(error) // called once, by the failing call

	// failure is set once, by the first call that fails, before that call returns
	// to Pebble. So whoever waits for a write and then finds it nil knows that the
	// write was real.
	failure atomic.Pointer[error]
	broken  chan struct{} // closed after that

	// gate is held for reading during each change of the real file system. drain
	// takes it for writing: afterwards none is under way, nor will be.
	gate sync.RWMutex

	// opened is stored when Pebble's Open has returned. From then on nothing waits
	// for a compaction but Close, so they may be made to wait.
	opened    atomic.Bool
	closing   chan struct{} // closed when the database is about to be closed
	closeOnce sync.Once

	copies sync.Map // the folders that backups are written to, and what they end with: string to context.Context
}

func newFence(base vfs.FS, dir string, onFail func(error)) (*fence, error) {
	f := &fence{FS: base, dir: dir, mem: vfs.NewMem(), onFail: onFail, broken: make(chan struct{}), closing: make(chan struct{})}
	return f, f.mem.MkdirAll(dir, 0o755)
}

// err returns the error that made the fence fail, nil while it works.
func (f *fence) err() error {
	if e := f.failure.Load(); e != nil {
		return *e
	}
	return nil
}

func (f *fence) fail(err error) {
	err = told(err)
	if f.failure.CompareAndSwap(nil, &err) {
		close(f.broken)
		f.onFail(err)
	}
}

// drain waits until no call of the failed database is changing the real file
// system any more.
func (f *fence) drain() {
	f.gate.Lock()
	defer f.gate.Unlock()
}

// beginClose lets go of compactions that wait for the end.
func (f *fence) beginClose() { f.closeOnce.Do(func() { close(f.closing) }) }

// try calls fn, which changes the real file system, unless the fence has failed.
// done reports whether fn was called and succeeded.
func (f *fence) try(fn func() error) (done bool) {
	f.gate.RLock()
	defer f.gate.RUnlock()
	if f.failure.Load() != nil {
		return false
	}
	if err := fn(); err != nil {
		f.fail(err)
		return false
	}
	return true
}

// isTable reports whether Pebble bears errors on this file: it gives up the table
// and tries again.
func isTable(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")
}

// outside reports whether a file is not the database's: where a backup is written to.
// Pebble bears errors there, and they must not end the database.
func (f *fence) outside(name string) bool {
	rest, within := strings.CutPrefix(name, f.dir)
	return !within || rest != "" && !strings.HasPrefix(rest, "/") && !strings.HasPrefix(rest, string(os.PathSeparator)) && !strings.HasSuffix(f.dir, "/")
}

// copying returns what the backup that a file belongs to ends with.
func (f *fence) copying(name string) context.Context {
	ctx := context.Background()
	f.copies.Range(func(dir, of any) bool {
		if strings.HasPrefix(name, dir.(string)) {
			ctx = of.(context.Context)
		}
		return true
	})
	return ctx
}

// copiedFile is a file of a backup.
type copiedFile struct {
	vfs.File
	ctx context.Context
}

// Write implements [vfs.File].
func (c *copiedFile) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.File.Write(p)
}

// Create implements [vfs.FS].
func (f *fence) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if f.outside(name) {
		file, err := f.FS.Create(name, category)
		if err != nil {
			return nil, err
		}
		return &copiedFile{file, f.copying(name)}, nil
	}
	var file vfs.File
	if f.try(func() (err error) { file, err = f.FS.Create(name, category); return err }) {
		return f.wrap(file, name), nil
	}
	if isTable(name) && category != "pebble-memtable-flush" && f.opened.Load() {
		// A compaction would rewrite the database into memory, and with an error it
		// would be tried again and again. A flush is small, and writers may be
		// waiting for it.
		<-f.closing
		return nil, f.err()
	}
	return f.mem.Create(name, category)
}

// ReuseForWrite implements [vfs.FS].
func (f *fence) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	var file vfs.File
	if f.try(func() (err error) { file, err = f.FS.ReuseForWrite(oldname, newname, category); return err }) {
		return f.wrap(file, newname), nil
	}
	return f.mem.Create(newname, category)
}

// OpenReadWrite implements [vfs.FS].
func (f *fence) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	var file vfs.File
	if f.try(func() (err error) { file, err = f.FS.OpenReadWrite(name, category, opts...); return err }) {
		return f.wrap(file, name), nil
	}
	return f.mem.OpenReadWrite(name, category, opts...)
}

// Link implements [vfs.FS]. Only backups link files.
func (f *fence) Link(oldname, newname string) error {
	if f.outside(newname) {
		if err := f.copying(newname).Err(); err != nil {
			return err // and the copy that is tried instead fails as well
		}
		return f.FS.Link(oldname, newname)
	}
	if !f.try(func() error { return f.FS.Link(oldname, newname) }) {
		return f.err()
	}
	return nil
}

// Rename implements [vfs.FS].
func (f *fence) Rename(oldname, newname string) error {
	if f.outside(newname) {
		return f.FS.Rename(oldname, newname)
	}
	if f.try(func() error { return f.FS.Rename(oldname, newname) }) {
		return nil
	}
	// A file that is not in memory keeps its name: what Pebble renames (options)
	// it does not read again.
	if err := f.mem.Rename(oldname, newname); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// MkdirAll implements [vfs.FS].
func (f *fence) MkdirAll(dir string, perm os.FileMode) error {
	if f.outside(dir) {
		return f.FS.MkdirAll(dir, perm)
	}
	if f.try(func() error { return f.FS.MkdirAll(dir, perm) }) {
		return nil
	}
	return f.mem.MkdirAll(dir, perm)
}

// Remove implements [vfs.FS]. That a file can't be removed costs space and breaks
// nothing, so it does not make the fence fail, unless Pebble would not bear it.
func (f *fence) Remove(name string) error { return f.remove(name, f.FS.Remove, f.mem.Remove) }

// RemoveAll implements [vfs.FS].
func (f *fence) RemoveAll(name string) error {
	return f.remove(name, f.FS.RemoveAll, f.mem.RemoveAll)
}

func (f *fence) remove(name string, base, mem func(string) error) error {
	if f.outside(name) {
		return base(name)
	}
	var borne error
	if f.try(func() error {
		err := base(name)
		if err != nil && (errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(f.PathBase(name), "marker.")) {
			borne, err = err, nil
		}
		return err
	}) {
		return borne
	}
	if err := mem(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Open implements [vfs.FS].
func (f *fence) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if f.failure.Load() != nil {
		if file, err := f.mem.Open(name, opts...); err == nil {
			return file, nil
		}
	}
	return f.FS.Open(name, opts...)
}

// OpenDir implements [vfs.FS].
func (f *fence) OpenDir(name string) (vfs.File, error) {
	if f.outside(name) {
		return f.FS.OpenDir(name)
	}
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return f.wrap(dir, name), nil
}

// List implements [vfs.FS].
func (f *fence) List(dir string) ([]string, error) {
	names, err := f.FS.List(dir)
	if err != nil || f.failure.Load() == nil {
		return names, err
	}
	more, err := f.mem.List(dir)
	if err != nil {
		return nil, err
	}
	return append(names, more...), nil
}

// Stat implements [vfs.FS].
func (f *fence) Stat(name string) (vfs.FileInfo, error) {
	if f.failure.Load() != nil {
		if info, err := f.mem.Stat(name); err == nil {
			return info, nil
		}
	}
	return f.FS.Stat(name)
}

// Lock implements [vfs.FS]. The directory is locked by the log, for all the
// databases that it opens there in its life.
func (f *fence) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Unwrap implements [vfs.FS].
func (f *fence) Unwrap() vfs.FS { return f.FS }
