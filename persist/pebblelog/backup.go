package pebblelog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/spatehub/spate/persist"
)

// What the name of a folder ends with while it is being written, and that of one for what
// a repair collects.
const (
	partial = ".partial"
	heapEnd = ".salvage"
)

// Backup writes a consistent copy of the log to a new folder, whose parents it creates.
// It has every record that was acknowledged before the call. Appends and reads go on
// meanwhile. Tables never change, so on the same file system they are hard links, and
// a backup costs the space of what was appended since the last one; elsewhere they are
// copied.
//
// The folder has its name once it is whole; a failed or interrupted backup leaves at
// most one that ends with ".partial". An error of the target does not harm the log.
// target must not exist and must not lie in the log's own folder.
func (p *Log) Backup(ctx context.Context, target string) error {
	target = filepath.Clean(target)
	if err := p.backup(ctx, target); err != nil {
		return fmt.Errorf("persist: backup to %q: %w", target, told(err))
	}
	return nil
}

func (p *Log) backup(ctx context.Context, target string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	fsys := p.cfg.fs
	if err := requireTarget(fsys, target, p.dir); err != nil {
		return err
	}
	work := target + partial
	if err := removeWork(fsys, work); err != nil {
		return err
	}
	g, err := p.pin()
	if err != nil {
		return err
	}
	defer g.use.RUnlock()
	if err := p.checkpoint(ctx, g, work); err != nil {
		return errors.Join(err, fsys.RemoveAll(work))
	}
	return install(fsys, work, target)
}

// pin returns the database in use, which stays open until its use is unlocked, also if
// it fails and the log turns to another one meanwhile.
func (p *Log) pin() (*generation, error) {
	p.genMu.RLock()
	defer p.genMu.RUnlock()
	if p.closed {
		return nil, persist.ErrClosed
	}
	if err := p.gen.fence.err(); err != nil {
		return nil, failure(err)
	}
	p.gen.use.RLock()
	return p.gen, nil
}

// checkpoint copies a database. It ends with its context, with the log and with the
// database: what one that has failed still writes does not count.
func (p *Log) checkpoint(ctx context.Context, g *generation, work string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-p.quit:
			cancel(persist.ErrClosed)
		case <-g.fence.broken:
			cancel(failure(g.fence.err()))
		case <-ctx.Done():
		}
	}()
	g.fence.copies.Store(work, ctx)
	defer g.fence.copies.Delete(work)
	err := g.db.Checkpoint(work, pebble.WithFlushedWAL())
	if failed := g.fence.err(); failed != nil {
		return failure(failed)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// inside reports whether path lies in dir, or is it, whatever links lead there.
func inside(path, dir string) bool {
	path, dir = absolute(path), absolute(dir)
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}

// targetError is an error about a folder that is to be made, not about the one that is
// read.
func targetError(target string, err error) error {
	return &fs.PathError{Op: "create", Path: target, Err: err}
}

// errInOther refuses a target that lies in the folder that is read, or around it.
func errInOther(target string) error {
	return targetError(target, errors.New("one folder lies in the other"))
}

// errInWork refuses a target for which the log's own folder, which has the name of one
// that is removed and made anew on the way, would be lost.
func errInWork(dir, target string) error {
	return targetError(target, fmt.Errorf("%q would be overwritten on the way: give it, or the target, another name", dir))
}

// removeWork removes what an interrupted attempt has left, and nothing else.
func removeWork(fsys vfs.FS, work string) error {
	switch _, err := fsys.Stat(work); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	if err := requireOurs(fsys, work); err != nil {
		return targetError(work, fmt.Errorf("%q is in the way: %w", work, err))
	}
	unlock, err := lockSource(fsys, work)
	if err != nil {
		return targetError(work, fmt.Errorf("%q is in the way: %w", work, err))
	}
	unlock()
	return fsys.RemoveAll(work)
}

// absolute returns where a path leads. Of one that is not there yet, the folders that
// are count.
func absolute(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return filepath.Clean(path)
	}
	for dir, rest := abs, ""; ; dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest)
		}
		if dir == filepath.Dir(dir) {
			return abs
		}
	}
}

// CheckBackupFolder reports why backups could not be made in a folder, so that who means
// to make some is told at once: it lies in the log's own, or can't be written. It creates
// the folder if need be.
func (p *Log) CheckBackupFolder(dir string) error {
	if inside(dir, p.dir) {
		return fmt.Errorf("persist: backups in %q: it lies in the folder of the log %q", dir, p.dir)
	}
	probe := p.cfg.fs.PathJoin(dir, ".writable"+partial)
	err := mkdirAll(p.cfg.fs, dir)
	if err == nil {
		var f vfs.File
		if f, err = p.cfg.fs.Create(probe, vfs.WriteCategoryUnspecified); err == nil {
			err = errors.Join(f.Close(), p.cfg.fs.Remove(probe))
		}
	}
	if err != nil {
		return fmt.Errorf("persist: backups in %q: %w", dir, err)
	}
	return nil
}

// requireName refuses a name that the next attempt at another would remove.
func requireName(path string) error {
	for _, end := range []string{partial, heapEnd} {
		if strings.HasSuffix(path, end) {
			return errors.New("names that end with " + end + " are of folders that are not whole")
		}
	}
	return nil
}

// requireNew refuses a path that exists, and such a name.
func requireNew(fsys vfs.FS, path string) error {
	if err := requireName(path); err != nil {
		return targetError(path, err)
	}
	switch _, err := fsys.Stat(path); {
	case err == nil:
		return targetError(path, fs.ErrExist)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

// install gives a folder that is whole its name.
func install(fsys vfs.FS, work, target string) error {
	if err := syncDir(fsys, work); err != nil {
		return err
	}
	if err := fsys.Rename(work, target); err != nil {
		return errors.Join(err, fsys.RemoveAll(work))
	}
	return syncDir(fsys, fsys.PathDir(target))
}

// Restore copies a backup to dir, which must not exist or be empty, and checks the copy. If it
// fails or its context ends, dir is as it was.
// Nothing else is to be done: the next start of a hub begins a run of its own, so that
// IDs which were issued after the backup are not issued again, and clients that know
// them are told of a gap.
func Restore(ctx context.Context, backup, dir string, opts ...Option) (Report, error) {
	cfg := newConfig(opts)
	backup, dir = filepath.Clean(backup), filepath.Clean(dir)
	r, err := restore(ctx, &cfg, backup, dir)
	if err != nil {
		return r, fmt.Errorf("persist: restore %q to %q: %w", backup, dir, told(err))
	}
	return r, nil
}

func restore(ctx context.Context, cfg *config, backup, dir string) (Report, error) {
	if inside(dir, backup) || inside(backup, dir) {
		return Report{}, errInOther(dir)
	}
	if inside(backup, dir+partial) {
		return Report{}, errInWork(backup, dir)
	}
	if err := requireName(dir); err != nil {
		return Report{}, targetError(dir, err)
	}
	if err := requireLog(cfg.fs, backup); err != nil {
		return Report{}, err
	}
	unlock, err := lockSource(cfg.fs, backup)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	if err := inspect(cfg.fs, backup); err != nil {
		return Report{}, err
	}
	exists, err := requireEmptyDir(cfg.fs, dir)
	if err != nil {
		return Report{}, err
	}
	work := dir + partial
	if exists {
		work = dir // it may be a mount point, which can't be replaced
		lock, err := lockEmptyDir(cfg.fs, dir)
		if err != nil {
			return Report{}, err
		}
		defer func() { _ = lock.Close() }()
	} else if err := removeWork(cfg.fs, work); err != nil {
		return Report{}, err
	}
	if err := mkdirAll(cfg.fs, work); err != nil {
		return Report{}, err
	}
	var r Report
	if err = copyFiles(ctx, cfg.fs, backup, work, copyFile); err == nil {
		r, err = checkLocked(ctx, cfg, work)
	}
	switch {
	case err != nil && exists:
		return r, errors.Join(err, emptyDir(cfg.fs, work))
	case err != nil:
		return r, errors.Join(err, cfg.fs.RemoveAll(work))
	case exists:
		return r, nil
	}
	return r, install(cfg.fs, work, dir)
}

// requireLog refuses a folder that is not there or has no log.
func requireLog(fsys vfs.FS, dir string) error {
	if _, err := fsys.Stat(dir); err != nil {
		return err
	}
	if err := requireOurs(fsys, dir); err != nil {
		return err
	}
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if dataFile.MatchString(name) || strings.HasPrefix(name, "MANIFEST-") {
			return nil
		}
	}
	return &toldError{text: ErrForeign.Error() + ": no log, the folder is empty", kind: ErrForeign}
}

// requireEmptyDir refuses a folder with files in it, other than those that file systems
// leave there. It reports whether there is one.
func requireEmptyDir(fsys vfs.FS, dir string) (exists bool, err error) {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if !stays(name) {
			return true, targetError(dir, errors.New("the folder is not empty: it has "+name))
		}
	}
	return true, nil
}

// lockEmptyDir locks an empty folder that a log is copied to, so that no hub begins one there
// meanwhile.
func lockEmptyDir(fsys vfs.FS, dir string) (io.Closer, error) {
	lock, err := lockDir(fsys, dir)
	if err != nil {
		return nil, targetError(dir, err)
	}
	names, err := fsys.List(dir)
	for _, name := range names {
		if err == nil && !stays(name) && name != "LOCK" {
			err = targetError(dir, errors.New("the folder is not empty any more: it has "+name))
		}
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// stays says whether a file may be in a folder that counts as empty.
func stays(name string) bool { return name == "lost+found" || strings.HasPrefix(name, ".") }

// emptyDir makes a folder empty again that was.
func emptyDir(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	for _, name := range names {
		if !stays(name) {
			err = errors.Join(err, fsys.Remove(fsys.PathJoin(dir, name)))
		}
	}
	return err
}

// lockSource sees to it that no hub writes to a folder that is copied. On a file
// system that is read-only nobody does.
func lockSource(fs vfs.FS, dir string) (unlock func(), err error) {
	lock, err := lockDir(fs, dir)
	switch {
	case err == nil:
		return func() { _ = lock.Close() }, nil
	case errors.Is(err, persist.ErrLocked):
		return nil, err
	default:
		return func() {}, nil
	}
}
