package pebblelog

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Errors of [Open] beside [persist.ErrLocked] and those of the file system, to be
// found with errors.Is. The folder was not changed.
var (
	// ErrForeign: the folder has files, and no log.
	ErrForeign = errors.New("the folder holds something else")

	// ErrDamaged: part of the log is missing or not as it was written. Reads of such
	// a part return it as well. [Repair] salvages the rest.
	ErrDamaged = errors.New("the log is damaged")

	// ErrFormat: a later version of the program has written the log.
	ErrFormat = errors.New("the log is of a later version")
)

// toldError is an error of the database in one line that says what is the matter, and
// nothing of the database's inside. kind and cause are for errors.Is.
type toldError struct {
	text        string
	kind, cause error // may be nil
}

func (e *toldError) Error() string { return e.text }

func (e *toldError) Unwrap() (errs []error) {
	for _, err := range []error{e.kind, e.cause} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// maxTold bounds the text of an error whose kind is not known.
const maxTold = 200

// told puts an error into words for people. What the system says stays as it is; of
// all others, that are long and come with a stack trace at times, the first line.
func told(err error) error {
	var known *toldError
	if err == nil || errors.As(err, &known) {
		return err
	}
	if pebble.IsCorruptionError(err) {
		return damaged(fileIn(err.Error(), nil)+" is damaged", err)
	}
	text, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	if len(text) > maxTold {
		text = strings.ToValidUTF8(text[:maxTold], "") + "..."
	}
	return &toldError{text: strings.TrimPrefix(text, "pebble: "), cause: err}
}

func damaged(what string, cause error) error {
	return &toldError{text: ErrDamaged.Error() + ": " + what, kind: ErrDamaged, cause: cause}
}

var (
	manifestIn = regexp.MustCompile(`MANIFEST-\d+`)
	optionsIn  = regexp.MustCompile(`OPTIONS-\d+`)
	numberIn   = regexp.MustCompile(`\b(\d{6,})(\.sst|\.log)?`)
)

// fileIn finds the file that an error of Pebble is about. names are those in the
// folder, nil if they are not known.
func fileIn(text string, names []string) string {
	if m := manifestIn.FindString(text); m != "" {
		return m
	}
	if m := optionsIn.FindString(text); m != "" {
		return m
	}
	for _, known := range []struct{ words, prefix, file string }{
		{"key=value", "OPTIONS-", "OPTIONS"},
		{"not pristine", "marker.format-version.", "marker.format-version"},
	} {
		if !strings.Contains(text, known.words) {
			continue
		}
		for _, name := range names {
			if strings.HasPrefix(name, known.prefix) {
				return name
			}
		}
		return known.file
	}
	m := numberIn.FindStringSubmatch(text)
	switch {
	case m == nil:
		return "a file"
	case m[2] != "":
		return m[0]
	}
	for _, name := range names {
		if strings.HasPrefix(name, m[1]+".") {
			return name
		}
	}
	return m[1] + ".sst"
}

// openError says why the database could not be opened.
func openError(fsys vfs.FS, dir string, err error) error {
	var path *fs.PathError
	var errno syscall.Errno
	system := errors.As(err, &path) || errors.As(err, &errno)
	if system && !errors.Is(err, fs.ErrNotExist) && !pebble.IsCorruptionError(err) {
		return told(err)
	}
	names, _ := fsys.List(dir)
	file, what := fileIn(err.Error(), names), "is damaged"
	if !contains(names, file) && file != "a file" {
		what = "is missing"
	}
	return damaged(file+" "+what, err)
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// errLater refuses a log of a later version.
func errLater(has, knows string) error {
	return &toldError{
		text: fmt.Sprintf("%v: it has %s, and this program knows %s", ErrFormat, has, knows),
		kind: ErrFormat,
	}
}
