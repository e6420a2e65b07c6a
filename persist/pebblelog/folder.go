package pebblelog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/spatehub/spate/persist"
)

// What is done with the folder of a log that no hub has open, and changes nothing in it:
// so a file system that is read-only, or full, will do.

// ExportFolder is [Export] of such a folder. Errors beside those of w are those of [Open].
func ExportFolder(ctx context.Context, dir string, after uint64, w io.Writer, opts ...Option) (n int64, err error) {
	cfg := newConfig(opts)
	f, err := openFolder(&cfg, dir)
	if err != nil {
		return 0, fmt.Errorf("persist: open %q: %w", dir, told(err))
	}
	defer func() { err = errors.Join(err, f.close()) }()
	return export(ctx, f.read, after, w)
}

// folder is a log that is read and not changed.
type folder struct {
	view   view
	unlock func()
}

func openFolder(cfg *config, dir string) (f *folder, err error) {
	if err := requireLog(cfg.fs, dir); err != nil {
		return nil, err
	}
	unlock, err := lockSource(cfg.fs, dir)
	if err != nil {
		return nil, err
	}
	f = &folder{unlock: unlock}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if err := inspect(cfg.fs, dir); err != nil {
		return f, err
	}
	if f.view.db, err = pebble.Open(dir, readOnly(cfg, dir)); err != nil {
		return f, openError(cfg.fs, dir, err)
	}
	if err := readOnlyVersion(f.view.db); err != nil {
		return f, err
	}
	return f, f.load(cfg, dir)
}

// load finds out from where to where the records reach.
func (f *folder) load(cfg *config, dir string) error {
	st := newState(cfg)
	l := loader{db: f.view.db, state: &st}
	if err := l.loadState(); err != nil {
		return err
	}
	f.view.floor = st.floor
	refused, err := refusedFrom(f.view.db, cfg.fs, dir)
	if err != nil {
		return err
	}
	it, err := f.view.db.NewIter(&pebble.IterOptions{LowerBound: recordKey(nil, st.floor+1), UpperBound: recordKey(nil, refused)})
	if err != nil {
		return err
	}
	if it.Last() {
		f.view.upTo = keyID(it.Key())
	}
	return errors.Join(it.Error(), it.Close())
}

// read is [Log.Read].
func (f *folder) read(ctx context.Context, after uint64, lim persist.Limit) (persist.Page, error) {
	b := persist.NewPageBuilder(after, lim)
	if after >= f.view.upTo {
		return b.Page, ctx.Err()
	}
	if err := f.view.read(&b, after); err != nil {
		return persist.Page{}, readError(err)
	}
	return b.Page, ctx.Err()
}

func (f *folder) close() error {
	defer f.unlock()
	if f.view.db == nil {
		return nil
	}
	return f.view.db.Close()
}

// BackupFolder is [Log.Backup] of such a folder: tables are hard links where the target
// is on the same file system, all else is copied.
func BackupFolder(ctx context.Context, dir, target string, opts ...Option) error {
	cfg := newConfig(opts)
	dir, target = filepath.Clean(dir), filepath.Clean(target)
	if err := backupFolder(ctx, &cfg, dir, target); err != nil {
		return fmt.Errorf("persist: backup of %q to %q: %w", dir, target, told(err))
	}
	return nil
}

func backupFolder(ctx context.Context, cfg *config, dir, target string) error {
	if err := requireTarget(cfg.fs, target, dir); err != nil {
		return err
	}
	if err := requireLog(cfg.fs, dir); err != nil {
		return err
	}
	unlock, err := lockSource(cfg.fs, dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := inspect(cfg.fs, dir); err != nil {
		return err
	}
	work := target + partial
	if err := removeWork(cfg.fs, work); err != nil {
		return err
	}
	if err := mkdirAll(cfg.fs, work); err != nil {
		return err
	}
	if err := copyFiles(ctx, cfg.fs, dir, work, linkTable); err != nil {
		return errors.Join(err, cfg.fs.RemoveAll(work))
	}
	return install(cfg.fs, work, target)
}

// requireTarget refuses a target of a backup that exists, lies in the log's folder, or
// would overwrite it on the way.
func requireTarget(fsys vfs.FS, target, dir string) error {
	if inside(target, dir) {
		return targetError(target, fmt.Errorf("the target lies in the folder of the log %q", dir))
	}
	if inside(dir, target+partial) {
		return errInWork(dir, target)
	}
	return requireNew(fsys, target)
}

// linkTable gives a table, which never changes, a second name; other files, and where
// that is not possible tables too, are copied.
func linkTable(ctx context.Context, fsys vfs.FS, from, to string) error {
	if isTable(from) && fsys.Link(from, to) == nil {
		return nil
	}
	return copyFile(ctx, fsys, from, to)
}

// copyFiles copies the files of a log, and makes them durable. The lock and what was
// acknowledged there are not the copy's, but what was refused is not to come back with it.
func copyFiles(ctx context.Context, fsys vfs.FS, from, to string, copyOne func(ctx context.Context, fsys vfs.FS, from, to string) error) error {
	names, err := fsys.List(from)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if name == "LOCK" || name == markName || name == reserveName || strings.HasPrefix(name, ".") || !dataFile.MatchString(name) && !otherFile.MatchString(name) {
			continue
		}
		info, err := fsys.Stat(fsys.PathJoin(from, name))
		if err != nil {
			return err
		}
		if info.IsDir() {
			continue
		}
		if err := copyOne(ctx, fsys, fsys.PathJoin(from, name), fsys.PathJoin(to, name)); err != nil {
			return err
		}
	}
	if err := copyRefusal(fsys, from, to); err != nil {
		return err
	}
	return syncDir(fsys, to)
}

func copyFile(ctx context.Context, fsys vfs.FS, from, to string) (err error) {
	src, err := fsys.Open(from, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	dst, err := fsys.Create(to, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(&copiedFile{dst, ctx}, src)
	if err == nil {
		err = dst.Sync()
	}
	return errors.Join(err, dst.Close())
}
