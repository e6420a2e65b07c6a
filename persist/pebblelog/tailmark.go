package pebblelog

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/spatehub/spate/persist"
)

// The tail mark is a small file beside the database that says which records were
// acknowledged. Pebble can't tell a write-ahead log that was cut off by a crash,
// which is normal, from one whose end is damaged or gone: it drops the rest and
// says nothing. With the mark, a log that opens with less than was acknowledged
// knows so.
//
// It is written by a plain write of a few bytes for each batch, and not synced: a
// killed process leaves it in the system's cache, and after a power cut it may be
// behind, which raises no false alarm. Rejected: a memory map, where a file system
// that is full or was cut short ends the process with a signal; a key of the
// database, which is lost together with what it counts.
//
//	header "spatetm1"
//	bound  entry: no ID above it was acknowledged; 0 if it is not used
//	ring   entries, the newest batches
//	entry  what was refused (refused.go); files of older versions end before it
//
// An entry is an ID, how many records were acknowledged up to it (since the file was
// begun), and a checksum over both. Numbers are big-endian.
const (
	markName    = "acknowledged"
	markHeader  = "spatetm1"
	markEntry   = 8 + 8 + 4
	markEntries = 400
	markSize    = len(markHeader) + (1+markEntries)*markEntry

	// boundStep is how far the bound is moved ahead of an ID that reaches it.
	boundStep = 1 << 20
)

// tailMark is the mark of an open log. A nil one does nothing.
type tailMark struct {
	cfg *config

	mu    sync.Mutex
	file  vfs.File // nil: it can't be written any more
	next  int      // entry of the ring that is written next
	noted markPoint
	bound uint64
	heals uint64          // of the newest note of refused records
	buf   [markEntry]byte // of an entry that is written
}

// markPoint is how far a log was acknowledged.
type markPoint struct {
	id    uint64
	count int64 // records
}

// openMark opens the mark of a directory, and returns what it knows of an earlier
// life: the points, oldest first, and the bound.
func openMark(cfg *config, dir string) (m *tailMark, points []markPoint, bound uint64, err error) {
	file, err := cfg.fs.OpenReadWrite(cfg.fs.PathJoin(dir, markName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, nil, 0, err
	}
	m = &tailMark{cfg: cfg, file: file}
	old := make([]byte, markSize+markEntry)
	n, err := file.ReadAt(old, 0)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, 0, errors.Join(err, file.Close())
	}
	known := n >= markSize && string(old[:len(markHeader)]) == markHeader
	if !known {
		clear(old)
		copy(old, markHeader)
	}
	switch {
	case !known:
		// All of it is written now, so that no write has to find room later.
		_, err := file.WriteAt(old, 0)
		if err == nil {
			err = syncDir(cfg.fs, dir)
		}
		if err != nil {
			return nil, nil, 0, errors.Join(err, file.Close())
		}
		return m, nil, 0, nil
	case n < len(old):
		clear(old[markSize:])
		_, _ = file.WriteAt(old[markSize:], int64(markSize)) // else there is room for it later, or not
	}
	points, m.next = parseMark(old)
	if b, ok := parseEntry(old[len(markHeader):]); ok {
		bound = b.id
	}
	if n := len(points); n > 0 {
		m.noted = points[n-1]
	}
	return m, points, bound, nil
}

// readMark returns the points that the mark of a directory knows, none if there is no
// mark that can be read.
func readMark(fsys vfs.FS, dir string) ([]markPoint, error) {
	data, err := readFile(fsys, fsys.PathJoin(dir, markName))
	if err != nil || len(data) < markSize || string(data[:len(markHeader)]) != markHeader {
		return nil, err
	}
	points, _ := parseMark(data)
	return points, nil
}

// parseMark returns the entries of the ring in the order of their counts, and which
// one is to be written next. An entry that was written in part is left out.
func parseMark(file []byte) (points []markPoint, next int) {
	var ring [markEntries]markPoint
	newest := -1
	for i := range ring {
		p, ok := parseEntry(file[len(markHeader)+(1+i)*markEntry:])
		if !ok {
			continue
		}
		if ring[i] = p; newest < 0 || p.id >= ring[newest].id {
			newest = i
		}
	}
	if newest < 0 {
		return nil, 0
	}
	for i := range markEntries {
		if p := ring[(newest+1+i)%markEntries]; p.id != 0 && p.id <= ring[newest].id {
			points = append(points, p)
		}
	}
	return points, (newest + 1) % markEntries
}

func parseEntry(v []byte) (p markPoint, ok bool) {
	p = markPoint{binary.BigEndian.Uint64(v), int64(binary.BigEndian.Uint64(v[8:]))}
	return p, p.id != 0 && binary.BigEndian.Uint32(v[16:]) == crc32.ChecksumIEEE(v[:16])
}

// writeLocked writes an entry; -1 is the bound, markEntries what was refused. A mark that
// can't be written is given up: it then says too little, and never anything wrong.
func (m *tailMark) writeLocked(entry int, p markPoint) {
	if m.file == nil {
		return
	}
	if _, err := m.file.WriteAt(appendEntry(m.buf[:0], p), int64(len(markHeader)+(1+entry)*markEntry)); err != nil {
		m.cfg.logger.Warn("persist: what was acknowledged, and what was refused, can't be noted; a damaged end of the log would not be found, and refused records may come back", "err", err)
		_ = m.file.Close()
		m.file = nil
	}
}

// acked notes a batch of n records that ends with the ID last.
func (m *tailMark) acked(last uint64, n int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.noted.count += int64(n)
	m.noted.id = max(m.noted.id, last)
	switch {
	case m.cfg.sync:
		m.putLocked(m.noted)
	case last > m.bound:
		// What is not synced yet may be lost with the process, and its IDs must not
		// come again.
		m.bound = min(last, math.MaxUint64-boundStep) + boundStep
		m.writeLocked(-1, markPoint{id: m.bound})
	}
}

func (m *tailMark) putLocked(p markPoint) {
	m.writeLocked(m.next, p)
	m.next = (m.next + 1) % markEntries
}

// point returns how far the log was acknowledged.
func (m *tailMark) point() markPoint {
	if m == nil {
		return markPoint{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.noted
}

// put writes that the disk has everything up to p.
func (m *tailMark) put(p markPoint) {
	if m == nil || p.id == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.putLocked(p)
}

// close ends the mark. In good order, what was noted is exact.
func (m *tailMark) close(orderly bool) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if orderly && !m.cfg.sync && m.noted.id != 0 {
		m.putLocked(m.noted)
		m.writeLocked(-1, markPoint{id: m.noted.id})
	}
	if m.file != nil {
		_ = m.file.Close()
		m.file = nil
	}
}

// lostTail compares what was acknowledged with the newest record that was found.
func lostTail(points []markPoint, last uint64) persist.LostTail {
	n := len(points)
	if n == 0 || points[n-1].id <= last {
		return persist.LostTail{}
	}
	newest := points[n-1]
	lost := persist.LostTail{From: last + 1, To: newest.id}
	for i := n - 1; i >= 0; i-- {
		switch p := points[i]; {
		case p.id > last:
			lost.Records = newest.count - p.count + 1 // it had one at least
		case p.id == last:
			lost.Records = newest.count - p.count
			return lost
		default:
			return lost
		}
	}
	return lost
}

// openTail opens the mark, tells what is missing at the end of the log, and where
// its IDs may go on.
func (p *Log) openTail(last uint64) {
	m, points, bound, err := openMark(&p.cfg, p.dir)
	if err != nil {
		p.cfg.logger.Warn("persist: what was acknowledged can't be noted; a damaged end of the log would not be found", "dir", p.dir, "err", err)
		return
	}
	p.mark = m
	p.high = max(m.noted.id, bound)
	p.lost = lostTail(points, last)
	if p.lost.To == 0 {
		if last > m.noted.id {
			m.noted.id = last
			m.putLocked(m.noted)
		}
		return
	}
	level := slog.LevelError
	if !p.cfg.sync {
		level = slog.LevelWarn
	}
	p.cfg.logger.Log(context.Background(), level, "persist: the end of the log is lost: acknowledged records are missing",
		"dir", p.dir, "from", p.lost.From, "to", p.lost.To, "records_at_least", p.lost.Records,
		"do", "nothing, where clients can do with a gap; else end the hub and restore a backup")
}
