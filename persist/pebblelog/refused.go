package pebblelog

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A failed append may have left its records on the disk: another file could not be
// written, or the disk took the records and failed to say so. Healing deletes them, but
// a log may end before it heals, with a disk that is full. So whoever is about to answer
// that an append has failed first notes in the file of the tail mark from which ID on
// records were refused. That needs no room, as the file has its size from the beginning, but
// on file systems that write nothing over.
//
// The note is never taken back, as that could fail. It has the number of times that the
// log was healed, which is in the database and rises in the batch that deletes the refused
// records: so it holds for the life of one generation, and whatever comes later is safe
// from it, whenever it reaches the disk.

// refusal says that records from this ID on were refused, after that many heals.
type refusal struct {
	from  uint64
	heals uint64
}

// refuse notes that appends to g have failed, once, before any of them says so. What is
// acknowledged of g by now is all that ever will be, as its fence has failed.
func (p *Log) refuse(g *generation) {
	g.refusing.Do(func() {
		p.mu.Lock()
		from := p.acked.Load() + 1
		p.mu.Unlock()
		p.mark.refuse(refusal{from: from, heals: g.heals})
	})
}

// refuse writes the note, and waits until it is durable.
func (m *tailMark) refuse(r refusal) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.heals < m.heals {
		return // what it is about was deleted
	}
	m.heals = r.heals
	m.writeLocked(markEntries, markPoint{id: r.from, count: int64(r.heals)})
	if m.file == nil {
		return
	}
	if err := m.file.Sync(); err != nil {
		m.cfg.logger.Warn("persist: a note of records that were refused may not survive a power cut", "err", err)
	}
}

// readRefusal returns the note of a directory. A note below what was acknowledged is of long
// ago. That the file can't be read, who opens the log is told of anyway.
func readRefusal(fsys vfs.FS, dir string) (r refusal, ok bool) {
	data, err := readFile(fsys, fsys.PathJoin(dir, markName))
	if err != nil || len(data) < markSize+markEntry || string(data[:len(markHeader)]) != markHeader {
		return refusal{}, false
	}
	note, ok := parseEntry(data[markSize:])
	points, _ := parseMark(data)
	if n := len(points); n > 0 && points[n-1].id >= note.id {
		return refusal{}, false
	}
	return refusal{from: note.id, heals: uint64(note.count)}, ok
}

// refusedFrom returns the ID from which on the records of a database were refused, the
// highest ID if none were.
func refusedFrom(db *pebble.DB, fsys vfs.FS, dir string) (uint64, error) {
	r, ok := readRefusal(fsys, dir)
	if !ok {
		return math.MaxUint64, nil
	}
	heals, err := getHeals(db)
	if err != nil || heals != r.heals {
		return math.MaxUint64, err
	}
	return r.from, nil
}

// copyRefusal gives a copy of a log the note, and nothing else of the tail mark.
func copyRefusal(fsys vfs.FS, from, to string) error {
	r, ok := readRefusal(fsys, from)
	if !ok {
		return nil
	}
	data := make([]byte, markSize, markSize+markEntry)
	copy(data, markHeader)
	data = appendEntry(data, markPoint{id: r.from, count: int64(r.heals)})
	dst, err := fsys.Create(fsys.PathJoin(to, markName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = dst.Write(data)
	return errors.Join(err, dst.Sync(), dst.Close())
}

// dropRefused deletes the records that an earlier life of the log has refused and could
// not delete.
func dropRefused(g *generation, fsys vfs.FS, dir string) error {
	if _, ok := readRefusal(fsys, dir); !ok {
		return nil
	}
	if err := checkVersion(g); err != nil {
		return err
	}
	from, err := refusedFrom(g.db, fsys, dir)
	if err != nil || from == math.MaxUint64 {
		return err
	}
	return purge(g, from-1)
}

// getHeals returns how often the log was healed.
func getHeals(db *pebble.DB) (heals uint64, err error) {
	_, err = get(db, stateHeals, func(v []byte) (err error) {
		heals, err = parseID(stateHeals, v)
		return err
	})
	return heals, err
}

// appendEntry appends an entry of the tail mark.
func appendEntry(dst []byte, p markPoint) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, p.id)
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.count))
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[start:]))
}
