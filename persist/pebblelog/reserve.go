package pebblelog

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A full disk has no room for what would make room: to open the database its
// write-ahead log has to be written into a table first, and to remove records a few
// bytes have to be written as well. So a log on a disk with enough room keeps a file
// of no use beside the database, which is deleted where the disk is full and bounds that
// have become narrower allow to remove something; it is made again when there is room.
//
// Rejected: to delete tables below the floor directly. Pebble's manifest names them, and
// a database that misses one does not open after a crash.
const reserveName = "reserve"

// The reserve is made when the log takes reserveFrom times as much, as there is not much
// to be removed from less, and reserveRoom times as much is free, so that making it does
// not fill the disk.
const (
	reserveFrom = 2
	reserveRoom = 4
)

// reserveSize is the size of the file: about what may wait in memory to be written.
func (p *Log) reserveSize() int64 { return 2*int64(p.cfg.memTable) + 4<<20 }

func (p *Log) reservePath() string { return p.cfg.fs.PathJoin(p.dir, reserveName) }

// full reports whether an error is that of a disk, or a share of it, without room.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// giveReserve deletes the reserve, and reports whether there was one. maint is held, or
// the log is being opened.
func (p *Log) giveReserve() bool {
	if p.cfg.fs.Remove(p.reservePath()) != nil {
		return false
	}
	p.reserved.Store(false)
	return true
}

// keepReserve makes the reserve if there is none and enough room. maint is held.
func (p *Log) keepReserve() {
	if p.reserved.Load() || p.gen.fence.err() != nil {
		return
	}
	size := p.reserveSize()
	if info, err := p.cfg.fs.Stat(p.reservePath()); err == nil && info.Size() == size {
		p.reserved.Store(true)
		return
	}
	if p.metrics(p.gen).DiskSpaceUsage() < uint64(reserveFrom*size) {
		return
	}
	usage, err := p.cfg.fs.GetDiskUsage(p.dir)
	if err != nil || usage.AvailBytes < uint64(reserveRoom*size) {
		return // or the file system has no bounds that it knows of
	}
	if err := p.makeReserve(); err != nil {
		p.say(slog.LevelWarn, "persist: no room could be set aside for a full disk", err)
	}
}

// makeReserve writes the file, of bytes that no file system makes smaller.
func (p *Log) makeReserve() (err error) {
	f, err := p.cfg.fs.Create(p.reservePath(), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = p.cfg.fs.Remove(p.reservePath())
		}
		p.reserved.Store(err == nil)
	}()
	noise := rand.NewChaCha8([32]byte{})
	block := make([]byte, 256<<10)
	for left := p.reserveSize(); left > 0; left -= int64(len(block)) {
		block = block[:min(left, int64(len(block)))]
		_, _ = noise.Read(block)
		if _, err := f.Write(block); err != nil {
			return err
		}
	}
	return f.Sync()
}

// overdue reports whether bounds allow to remove something.
func (p *Log) overdue() bool {
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.date(now)
	return len(p.mu.dueTopics) > 0 || p.mu.recountTo != 0 || p.mu.ages.Due(now.World) != nil ||
		p.mu.expired(p.mu.retention, now, p.acked.Load()) > 0
}

// makeRoom removes what is beyond the bounds, and has the disk get it back, after the
// reserve was given for that. maint is held, or the log is being opened.
func (p *Log) makeRoom() error {
	if err := p.retain(); err != nil {
		return err
	}
	if p.floor.Load() == 0 {
		return nil
	}
	return p.excise(1)
}

// openTight opens the log on a full disk, after the reserve was given, and makes room.
// Where the bounds do not allow to, the log is not opened: the reserve would be used up,
// and be missing when they do.
func (p *Log) openTight(cause error) error {
	if !p.overdue() {
		if err := p.makeReserve(); err != nil {
			return cause
		}
		return nil // there was room for both, after all
	}
	if err := p.makeRoom(); err != nil && !full(err) {
		return err
	}
	p.cfg.logger.Warn("persist: the disk was full; records beyond the bounds of retention were removed", "dir", p.dir, "floor", p.floor.Load())
	return nil
}
