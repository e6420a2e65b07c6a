package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// maxRevocationsFile bounds what is read of a file: far more than all that is kept
// takes.
const maxRevocationsFile = 256 << 20

// spareLines is how many lines a file has at least that say nothing any more, before
// it is written anew. It also is as long as it has to be twice.
const spareLines = 1000

// revocationsFile keeps revocations: a line of JSON for each, in the order in which they
// were made.
//
//	{"user":"tom","at":"2026-11-28T10:00:00Z","until":"2027-01-01T00:00:00Z"}
//	{"grant":"t1","at":"2026-11-28T10:00:00Z"}
//
// A line is synced before the revocation counts. One that lacks its end is what a
// power cut left of a line that never counted. The file is replaced as a whole where
// it has become too long.
type revocationsFile struct {
	path  string
	lines int
	size  int64
	worn  bool // what is behind size is not known: to be written anew
}

// Keep takes over the revocations of a file, and keeps those that come in it: each is on
// the disk before it counts, so that a restart or a power cut forgets none. The file is
// made when there is something to keep. It is called once, before v is used; one process
// may use a file at a time.
//
// A line that is no revocation is an error that names it, and nothing is taken over.
func (v *Revocations) Keep(path string) error {
	file, all := &revocationsFile{path: path}, revoked{}
	torn, err := file.load(&all)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	// What is over stays while there is room: it is so by a clock that may be wrong today.
	if all.len() > maxRevoked {
		all.forget(v.clock())
	}
	if all.len() > maxRevoked {
		return fmt.Errorf("%s: has %d revocations, and no more than %d are kept", path, all.len(), maxRevoked)
	}
	if torn || file.lines > all.len() {
		if err := file.rewrite(&all); err != nil {
			return err
		}
	}
	v.change.Lock()
	defer v.change.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.file, v.mu.revoked = file, all
	return nil
}

// load reads the file, and says whether its end is torn.
func (f *revocationsFile) load(to *revoked) (torn bool, err error) {
	file, err := os.Open(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, bare(err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxRevocationsFile+1))
	if err != nil {
		return false, bare(err)
	}
	if len(text) > maxRevocationsFile {
		return false, fmt.Errorf("is larger than %d MiB", maxRevocationsFile>>20)
	}
	f.size = int64(len(text))
	for len(text) > 0 {
		line, rest, whole := bytes.Cut(text, []byte{'\n'})
		if !whole {
			return true, nil
		}
		f.lines++
		r, err := parseRevocation(line)
		if err != nil {
			return false, fmt.Errorf("line %d: %w", f.lines, err)
		}
		to.put(&r)
		text = rest
	}
	return false, nil
}

// bare is an error without the path, which is told before it.
func bare(err error) error {
	if pe := (*os.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func parseRevocation(line []byte) (r revocation, err error) {
	err = object("", line, func(name, at string, v json.RawMessage) error {
		switch name {
		case "user":
			return parseUser(at, v, &r.user)
		case "grant":
			return decode(at, v, &r.grant, "a text")
		case "at":
			return decode(at, v, &r.at, "a time such as 2027-01-31T00:00:00Z")
		case "until":
			return decode(at, v, &r.until, "a time such as 2027-01-31T00:00:00Z")
		}
		return errUnknown
	})
	switch {
	case err != nil:
	case (r.user == "") == (r.grant == ""):
		err = errors.New("must have a user or a grant, and not both")
	case r.at.IsZero():
		err = errors.New("at: must say when it was made")
	}
	return r, err
}

// appendTo adds the line of a revocation to dst. Its error is that of a time beyond the
// year 9999.
func (r *revocation) appendTo(dst []byte) ([]byte, error) {
	line := struct {
		User  string     `json:"user,omitempty"`
		Grant string     `json:"grant,omitempty"`
		At    time.Time  `json:"at"`
		Until *time.Time `json:"until,omitempty"`
	}{User: r.user, Grant: r.grant, At: r.at.UTC()}
	if !r.until.IsZero() {
		until := r.until.UTC()
		line.Until = &until
	}
	text, err := json.Marshal(line)
	if err != nil {
		return dst, err
	}
	return append(append(dst, text...), '\n'), nil
}

// append keeps more. Where the file is to be written anew, it has what all returns before.
func (f *revocationsFile) append(more []revocation, anew bool, all func() revoked) error {
	var lines []byte
	for i := range more {
		var err error
		if lines, err = more[i].appendTo(lines); err != nil {
			return err
		}
	}
	gone, err := f.gone()
	if err != nil {
		return err
	}
	if gone || f.worn || anew {
		kept := all()
		if err := f.rewrite(&kept); err != nil {
			return err
		}
	}
	if len(more) == 0 {
		return nil
	}
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	made := f.size == 0
	_, err = file.WriteAt(lines, f.size)
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		f.worn = true // what there is of it must not come to count
		return errors.Join(err, file.Truncate(f.size), file.Close())
	}
	err = file.Close()
	if err == nil && made {
		err = syncFolder(filepath.Dir(f.path))
	}
	if err != nil {
		f.worn = true
		return err
	}
	f.size += int64(len(lines))
	f.lines += len(more)
	return nil
}

// errForeign says that a file has lines that nobody here has written.
var errForeign = errors.New("somebody else has written to it: what it has more is lost if it is written to, and holds after a restart")

// gone reports whether what was written is not in the file any more, as far as its length
// tells: somebody took it away, or cut it. A line by itself would be at a place where
// there is nothing before it, and the next start refuse the file.
func (f *revocationsFile) gone() (bool, error) {
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return f.size > 0, nil
	case err != nil:
		return false, err
	case info.Size() > f.size && !f.worn:
		return false, fmt.Errorf("%s: %w", f.path, errForeign)
	}
	return info.Size() < f.size, nil
}

// rewrite replaces the file by one that has what holds and nothing else.
func (f *revocationsFile) rewrite(all *revoked) error {
	var text []byte
	for user, c := range all.users {
		text, _ = (&revocation{user: user, cutoff: c}).appendTo(text) // which has been written before
	}
	for id, until := range all.grants {
		text, _ = (&revocation{grant: id, cutoff: cutoff{time.Unix(0, 0), until}}).appendTo(text)
	}
	temp := f.path + ".new"
	if err := writeSynced(temp, text); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, f.path); err != nil {
		return err
	}
	f.lines, f.size, f.worn = all.len(), int64(len(text)), false
	return syncFolder(filepath.Dir(f.path))
}

func writeSynced(path string, text []byte) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(text); err != nil {
		return err
	}
	return file.Sync()
}

// syncFolder makes a new name last, where folders can be synced.
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
