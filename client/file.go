package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// FileCheckpoint is a [Checkpoint] in a file of its own, written beside it and
// renamed, so that a crash leaves the old or the new position and nothing else.
// A Save returns when the disk has it. One client at a time may use a file.
type FileCheckpoint struct {
	path string
}

// NewFileCheckpoint returns a checkpoint in the file at path, in a folder that
// exists. The file is made by the first Save; beside it, path + ".new" is used.
func NewFileCheckpoint(path string) *FileCheckpoint { return &FileCheckpoint{path: path} }

// maxCheckpoint bounds the file: an ID is no longer than a header may be.
const maxCheckpoint = 64 << 10

// Load reads the ID. A file that is not there is no ID, one that is no checkpoint
// is an error, and so is a folder that is not there.
func (f *FileCheckpoint) Load(context.Context) (string, error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(filepath.Dir(f.path)) // without the folder every Save would fail
		return "", err
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxCheckpoint+1))
	if err != nil {
		return "", err
	}
	id, ok := strings.CutSuffix(string(text), "\n")
	if !ok || len(text) > maxCheckpoint || strings.ContainsAny(id, "\r\n\x00") {
		return "", fmt.Errorf("%s is no checkpoint: it has to be one line, the last event ID", f.path)
	}
	return id, nil
}

// Save writes the ID.
func (f *FileCheckpoint) Save(_ context.Context, id string) error {
	if len(id) >= maxCheckpoint || strings.ContainsAny(id, "\r\n\x00") {
		return fmt.Errorf("%s: the ID is longer than %d bytes, or more than one line", f.path, maxCheckpoint-1)
	}
	temp := f.path + ".new"
	if err := writeSynced(temp, id+"\n"); err != nil {
		return err
	}
	if err := os.Rename(temp, f.path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(f.path))
}

func writeSynced(path, text string) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.WriteString(text); err != nil {
		return err
	}
	return file.Sync()
}

// syncFolder makes the rename last, where folders can be synced.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
