package pebblelog

import "github.com/cockroachdb/pebble/v2/vfs"

// fenceFile is a file of the real file system, opened before the fence failed.
// After that, changes to it are dropped: with an error if it is a table, else
// without, since Pebble would not bear one.
type fenceFile struct {
	vfs.File
	fence *fence
	table bool
}

func (f *fence) wrap(file vfs.File, name string) vfs.File {
	return &fenceFile{File: file, fence: f, table: isTable(name)}
}

// change passes a change on and says what Pebble is to be told.
func (f *fenceFile) change(fn func() error) error {
	if f.fence.try(fn) || !f.table {
		return nil
	}
	return f.fence.err()
}

// Write implements [vfs.File].
func (f *fenceFile) Write(p []byte) (int, error) {
	if err := f.change(func() error { _, err := f.File.Write(p); return err }); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteAt implements [vfs.File].
func (f *fenceFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.change(func() error { _, err := f.File.WriteAt(p, off); return err }); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Sync implements [vfs.File].
func (f *fenceFile) Sync() error { return f.change(f.File.Sync) }

// SyncData implements [vfs.File].
func (f *fenceFile) SyncData() error { return f.change(f.File.SyncData) }

// SyncTo implements [vfs.File].
func (f *fenceFile) SyncTo(length int64) (full bool, err error) {
	err = f.change(func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, err
}

// Preallocate implements [vfs.File]. It is a hint, and not every file system
// takes it.
func (f *fenceFile) Preallocate(offset, length int64) error {
	f.fence.gate.RLock()
	defer f.fence.gate.RUnlock()
	if f.fence.failure.Load() != nil {
		return nil
	}
	return f.File.Preallocate(offset, length)
}

// Stat implements [vfs.File].
func (f *fenceFile) Stat() (vfs.FileInfo, error) {
	info, err := f.File.Stat()
	if err != nil && !f.table {
		f.fence.fail(err)
		return vfs.NewMemFile(nil).Stat() // as if it were empty
	}
	return info, err
}

// Close implements [vfs.File].
func (f *fenceFile) Close() error {
	err := f.File.Close()
	if err != nil && !f.table {
		f.fence.fail(err)
		return nil
	}
	return err
}
