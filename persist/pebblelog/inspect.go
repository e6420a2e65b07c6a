package pebblelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// What is looked at before Pebble gets the folder. It makes a new database where it
// finds none, also over the tables of one whose manifest has lost its name; and it
// takes a manifest that is damaged in the middle for one that ends there, forgets the
// tables named behind that, and deletes them. It says nothing of either.

var (
	dataFile  = regexp.MustCompile(`^\d{6,}(-\d+)?\.(sst|log|blob)$`)
	otherFile = regexp.MustCompile(`^(MANIFEST-\d+|OPTIONS-\d+|marker\..*|temporary\..*|.*\.dbtmp|LOCK|` + markName + `|` + reserveName + `|lost\+found|\..*)$`)
)

// requireOurs refuses a folder with files in it and no log.
func requireOurs(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	var others []string
	for _, name := range names {
		if dataFile.MatchString(name) || strings.HasPrefix(name, "MANIFEST-") {
			return nil
		}
		if !otherFile.MatchString(name) {
			others = append(others, name)
		}
	}
	if len(others) == 0 {
		return nil
	}
	slices.Sort(others)
	list := strings.Join(others[:min(3, len(others))], ", ")
	if n := len(others) - 3; n > 0 {
		list += fmt.Sprintf(" and %d more", n)
	}
	return &toldError{text: fmt.Sprintf("%v: no log, but %.200s", ErrForeign, list), kind: ErrForeign}
}

// inspect refuses a folder that Pebble would ruin. The folder is locked.
func inspect(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	desc, err := pebble.Peek(dir, fsys)
	if err != nil {
		return openError(fsys, dir, err)
	}
	if !desc.Exists {
		if i := slices.IndexFunc(names, dataFile.MatchString); i >= 0 {
			return damaged("there are tables such as "+names[i]+", and no marker.manifest file", nil)
		}
		return nil
	}
	if desc.FormatMajorVersion > pebble.FormatNewest {
		return errLater(fmt.Sprintf("a database of format %d", desc.FormatMajorVersion), fmt.Sprintf("those up to %d", pebble.FormatNewest))
	}
	manifest, err := readFile(fsys, desc.ManifestFilename)
	switch name := fsys.PathBase(desc.ManifestFilename); {
	case errors.Is(err, fs.ErrNotExist):
		return damaged(name+" is missing", err)
	case err != nil:
		return err
	case torn(manifest):
		return damaged(name+" is damaged", nil)
	}
	return nil
}

func readFile(fsys vfs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

// Of the format of Pebble's manifest: blocks with chunks, each of which has a
// checksum over all behind it, a length and a type from 1 to 4.
const (
	manifestBlock = 32 << 10
	chunkHeader   = 4 + 2 + 1
	chunkTypes    = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// torn reports whether a manifest is damaged before its end: a chunk that is not
// valid has a valid one behind it. What is not valid at the very end is what a power
// cut leaves of a write.
func torn(manifest []byte) bool {
	at := 0
	for at < len(manifest) {
		if left := manifestBlock - at%manifestBlock; left < chunkHeader {
			at += left
			continue
		}
		n := validChunk(manifest[at:])
		if n == 0 {
			break
		}
		at += n
	}
	for at++; at < len(manifest); at++ {
		if validChunk(manifest[at:]) > 0 {
			return true
		}
	}
	return false
}

// validChunk returns the length of the chunk that p begins with, 0 if there is none.
func validChunk(p []byte) int {
	if len(p) < chunkHeader || p[6] == 0 || p[6] > chunkTypes {
		return 0
	}
	n := chunkHeader + int(binary.LittleEndian.Uint16(p[4:]))
	if n > len(p) || n > manifestBlock {
		return 0
	}
	if crc32.Checksum(p[6:n], castagnoli) != unmasked(binary.LittleEndian.Uint32(p)) {
		return 0
	}
	return n
}
