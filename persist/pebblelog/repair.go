package pebblelog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/persist/internal/runs"
)

// Repair salvages what can be read of a damaged log into a new folder, and leaves the
// old one as it is. It reads every table and write-ahead log file, whether or not the
// manifest knows it; a damaged block costs the records in it. The disk must have room
// for twice what is salvaged.
//
// The report tells what is lost. What a client had got cannot be told from what it is
// missing, where records in the middle are lost: all IDs up to the last place where
// some may be count as unknown then, so that a client which names one is told of a gap.
func Repair(ctx context.Context, dir, target string, opts ...Option) (Report, error) {
	cfg := newConfig(opts)
	dir, target = filepath.Clean(dir), filepath.Clean(target)
	r, err := repair(ctx, &cfg, dir, target)
	if err != nil {
		return r, fmt.Errorf("persist: repair %q into %q: %w", dir, target, told(err))
	}
	return r, nil
}

func repair(ctx context.Context, cfg *config, dir, target string) (r Report, err error) {
	if inside(target, dir) || inside(dir, target) {
		return r, errInOther(target)
	}
	heap := target + heapEnd
	if inside(dir, target+partial) || inside(dir, heap) {
		return r, errInWork(dir, target)
	}
	if err := requireLog(cfg.fs, dir); err != nil {
		return r, err
	}
	if err := requireNew(cfg.fs, target); err != nil {
		return r, err
	}
	found, err := check(ctx, cfg, dir)
	if err != nil {
		return r, err
	}
	unlock, err := lockSource(cfg.fs, dir)
	if err != nil {
		return r, err
	}
	defer unlock()

	if err := removeWork(cfg.fs, heap); err != nil {
		return r, err
	}
	s := salvager{cfg: cfg, dir: dir, floors: make(map[string]uint64), report: &r}
	r.Damaged, r.LostTail = found.Damaged, found.LostTail
	return r, errors.Join(s.salvage(ctx, heap, target), cfg.fs.RemoveAll(heap))
}

// salvage makes the new log by way of the heap, whose disk may be full: it is fenced, as
// Pebble would wait for room for ever, or panic.
func (s *salvager) salvage(ctx context.Context, heap, target string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f, err := newFence(unlocked{s.cfg.fs}, heap, cancel)
	if err != nil {
		return err
	}
	logger := silentFence{fence: f}
	s.db, err = pebble.Open(heap, &pebble.Options{FS: f, DisableWAL: true, Logger: logger, EventListener: &pebble.EventListener{BackgroundError: f.fail}})
	if err != nil {
		return errors.Join(f.err(), err)
	}
	err = s.collect(ctx)
	if err == nil {
		err = s.rebuild(ctx, target)
	}
	f.beginClose()
	closed := s.db.Close()
	if failed := f.err(); failed != nil {
		return failed
	}
	return errors.Join(err, closed)
}

// silentFence is silent, and turns what would end the process into a failure.
type silentFence struct {
	silent
	fence *fence
}

// Fatalf implements [pebble.Logger].
func (l silentFence) Fatalf(format string, args ...any) { l.fence.fail(fmt.Errorf(format, args...)) }

// salvager collects what is found in the files of a log, in a database of its own, by
// key, the newest version of each. Files are read in any order.
type salvager struct {
	cfg    *config
	dir    string
	db     *pebble.DB
	report *Report

	floor  uint64
	common uint64 // floor of topics that have none by name
	floors map[string]uint64
	marks  marks
	runs   runs.List
	doubt  uint64 // up to this ID records may be missing in the middle
	blind  bool   // a file could not be read at all: there is no telling which
}

func (s *salvager) collect(ctx context.Context) error {
	names, err := s.cfg.fs.List(s.dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := s.cfg.fs.PathJoin(s.dir, name)
		switch {
		case !dataFile.MatchString(name):
		case strings.HasSuffix(name, ".sst"):
			err = s.table(ctx, name, path)
		case strings.HasSuffix(name, ".log"):
			err = s.wal(name, path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// table takes what is in a table. Behind a damaged block it goes on.
func (s *salvager) table(ctx context.Context, name, path string) (err error) {
	t, err := openTable(s.cfg.fs, path)
	if err != nil {
		s.blind = true
		s.report.damage("%s can't be read", name)
		return nil
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	s.report.Tables++
	from := []byte{}
	for from != nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		last, broken, err := s.keys(t, from)
		if err != nil {
			return err
		}
		if !broken {
			break
		}
		if from = behind(t, last); from == nil {
			from = []byte{0xff}
		}
		s.lost(last, from)
		if from[0] == 0xff {
			break
		}
	}
	return nil
}

// keys takes the keys from one on, until the end or a damaged block. last is the last
// one that could be read.
func (s *salvager) keys(t *sstable.Reader, from []byte) (last []byte, broken bool, err error) {
	it, err := t.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return from, true, nil
	}
	defer func() { _ = it.Close() }()
	last = from
	for kv := it.SeekGE(from, 0); kv != nil; kv = it.Next() {
		last = append(bytes.Clone(kv.K.UserKey), 0)
		v, _, err := kv.Value(nil)
		if err != nil {
			return last, true, nil
		}
		kind := kv.K.Kind()
		if err := s.put(kv.K.UserKey, v, uint64(kv.K.SeqNum()), kind == pebble.InternalKeyKindSet || kind == pebble.InternalKeyKindSetWithDelete); err != nil {
			return last, false, err
		}
	}
	return last, it.Error() != nil, nil
}

// behind returns the first key behind a damaged block that begins at from, nil if there
// is none. Only records count: of them the keys are numbers, which can be halved.
func behind(t *sstable.Reader, from []byte) []byte {
	readable := func(id uint64) bool {
		it, err := t.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
		if err != nil {
			return false
		}
		defer func() { _ = it.Close() }()
		return it.SeekGE(recordKey(nil, id), 0) != nil
	}
	id := uint64(1)
	if len(from) >= 9 && from[0] == keyRecord {
		id = keyID(from)
	} else if len(from) > 0 && from[0] > keyRecord {
		return nil
	}
	low, step := id, uint64(1)
	for !readable(low + step) {
		if low += step; step > 1<<62 || low+2*step < low {
			return nil
		}
		step *= 2
	}
	high := low + step // readable, and low is not
	for low+1 < high {
		if mid := low + (high-low)/2; readable(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return recordKey(nil, high)
}

// lost notes that keys from one up to another could not be read.
func (s *salvager) lost(from, to []byte) {
	switch {
	case len(from) > 0 && from[0] > keyRecord: // the index and the sums are built anew
	case len(to) == 9 && to[0] == keyRecord:
		s.doubt = max(s.doubt, keyID(to)-1)
		first := uint64(1)
		if len(from) >= 9 {
			first = keyID(from) + 1
		}
		s.report.damage("records with IDs from %d to %d may be lost", first, keyID(to)-1)
	default:
		s.blind = true
	}
}

// wal takes the batches of a write-ahead log, up to the first that is damaged.
func (s *salvager) wal(name, path string) error {
	data, err := readFile(s.cfg.fs, path)
	if err != nil {
		s.blind = true
		s.report.damage("%s can't be read", name)
		return nil
	}
	number, _, _ := strings.Cut(strings.TrimSuffix(name, ".log"), "-")
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return nil
	}
	for r := numbered(record.NewReader, bytes.NewReader(data), n); ; {
		next, err := r.Next()
		if err != nil {
			return nil
		}
		repr, err := io.ReadAll(next)
		if err != nil {
			return nil
		}
		if err := s.batch(repr); err != nil {
			return err
		}
	}
}

// numbered calls newReader with the number of a file, whose type has no name outside of
// Pebble.
func numbered[N ~uint64](newReader func(io.Reader, N) *record.Reader, r io.Reader, n uint64) *record.Reader {
	return newReader(r, N(n))
}

func (s *salvager) batch(repr []byte) error {
	if len(repr) < 12 {
		return nil
	}
	seq := binary.LittleEndian.Uint64(repr)
	reader := batchrepr.Read(repr)
	for {
		kind, key, value, ok, err := reader.Next()
		if err != nil || !ok {
			return nil
		}
		switch kind {
		case pebble.InternalKeyKindSet:
			err = s.put(key, value, seq, true)
		case pebble.InternalKeyKindDelete:
			err = s.put(key, nil, seq, false)
		case pebble.InternalKeyKindLogData:
			continue // it has no sequence number
		}
		if err != nil {
			return err
		}
		seq++
	}
}

// put keeps a version of a key, unless a newer one is known.
func (s *salvager) put(key, value []byte, seq uint64, set bool) error {
	if len(key) == 0 {
		return nil
	}
	switch key[0] {
	case keyFloor:
		if id, err := parseID(key, value); err == nil && set {
			s.floors[string(key[1:])] = max(s.floors[string(key[1:])], id)
		}
		return nil
	case keyState, keyRecord:
		if s.risen(key, value, set) {
			return nil
		}
	default:
		return nil
	}
	newer := true
	if _, err := get(s.db, key, func(old []byte) error {
		newer = seq >= binary.BigEndian.Uint64(old)
		return nil
	}); err != nil || !newer {
		return err
	}
	v := binary.BigEndian.AppendUint64(nil, seq)
	if set {
		v = append(append(v, 1), value...)
	}
	return s.db.Set(key, v, pebble.NoSync)
}

// risen takes a number that only rises, and reports whether the key has one. The newest
// version may have lost its number by now, and an older one have it, in a table that is
// not needed any more.
func (s *salvager) risen(key, value []byte, set bool) bool {
	id, err := parseID(key, value)
	if err != nil || !set {
		id = 0
	}
	for _, f := range []struct {
		key []byte
		id  *uint64
	}{{stateFloor, &s.floor}, {stateCommon, &s.common}, {stateLast, &s.marks.last}, {stateLost, &s.marks.lost}, {stateHeals, &s.marks.heals}} {
		if bytes.Equal(key, f.key) {
			*f.id = max(*f.id, id)
			return true
		}
	}
	if bytes.Equal(key, stateGone) {
		s.marks.gone = max(s.marks.gone, int64(id))
		return true
	}
	return false
}

// loadState reads what was found of the log's runs.
func (s *salvager) loadState() error {
	l := loader{db: s.db}
	return l.scanKind(keyState, func(key, v []byte) error {
		if len(v) < 9 || !bytes.HasPrefix(key, stateRun) {
			return nil
		}
		if r, err := parseRun(key, v[9:]); err == nil {
			s.runs = append(s.runs, r)
		}
		return nil
	})
}

// rebuild makes a new log of what was found.
func (s *salvager) rebuild(ctx context.Context, target string) error {
	if err := s.loadState(); err != nil {
		return err
	}
	work := target + partial
	if err := removeWork(s.cfg.fs, work); err != nil {
		return err
	}
	if err := s.build(ctx, work); err != nil {
		return errors.Join(err, s.cfg.fs.RemoveAll(work))
	}
	return install(s.cfg.fs, work, target)
}

// build makes the new log in the folder of work.
func (s *salvager) build(ctx context.Context, work string) error {
	l, err := Open(work, WithFS(s.cfg.fs), WithSync(false))
	if err != nil {
		return err
	}
	err = s.fill(ctx, l)
	if err == nil {
		err = s.finish(l)
	}
	s.report.Records, s.report.Bytes = l.LogStats().Count, l.LogStats().Bytes
	s.report.First, s.report.Last, s.report.Floor, s.report.Runs = l.First(), l.Last(), s.floor, len(s.runs)
	if err := errors.Join(err, l.Close()); err != nil {
		return err
	}
	mark := s.cfg.fs.PathJoin(s.dir, markName)
	if _, err := s.cfg.fs.Stat(mark); err == nil {
		// What was acknowledged and is lost at the end is not to be issued again.
		return copyFile(ctx, s.cfg.fs, mark, s.cfg.fs.PathJoin(work, markName))
	}
	return nil
}

// refusedFrom is the function of that name for a log whose database can't be opened.
func (s *salvager) refusedFrom() uint64 {
	if r, ok := readRefusal(s.cfg.fs, s.dir); ok && r.heals == s.marks.heals {
		return r.from
	}
	return math.MaxUint64
}

// fill appends the records in order.
func (s *salvager) fill(ctx context.Context, l *Log) error {
	if err := l.setFloors(s.floor, s.common, s.floors); err != nil {
		return err
	}
	const batch, bytes = 1000, 4 << 20
	var recs []persist.Record
	size := 0
	flush := func() error {
		err := l.Append(ctx, recs)
		recs, size = recs[:0], 0
		return err
	}
	scan := loader{db: s.db}
	err := scan.scan(recordKey(nil, s.floor+1), recordKey(nil, s.refusedFrom()), func(key, v []byte) error {
		if len(key) != 9 || len(v) < 9 {
			return nil // a removed one
		}
		value := slices.Clone(v[9:])
		h, err := parseHeader(value)
		if err != nil {
			s.report.damage("record %d can't be read", keyID(key))
			s.doubt = max(s.doubt, keyID(key))
			return nil
		}
		r := h.record(keyID(key), value, nil)
		if r.Topic != "" && r.ID <= s.floors[r.Topic] {
			return nil
		}
		recs = append(recs, r)
		if size += len(value); len(recs) >= batch || size >= bytes {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// finish writes the marks and the runs: those of the old log, less what is in doubt.
func (s *salvager) finish(l *Log) error {
	found := l.Last()
	if err := l.setMarks(s.marks); err != nil {
		return err
	}
	if len(s.report.Damaged) == 0 {
		found = l.Last() // what is above was removed by retention, and not lost
	}
	if s.blind || len(s.report.Damaged) > 0 && s.doubt == 0 {
		s.doubt = l.Last()
		s.report.damage("records up to ID %d may be lost, there is no telling which", s.doubt)
	}
	if open, ok := s.runs.Open(); ok {
		s.runs[len(s.runs)-1].Last = max(found, open.First)
	}
	if s.doubt > 0 {
		// IDs before the first run would count as issued where they are found: so there
		// is one, which no hub can have begun.
		kept := runs.List{{First: 1, Last: 1}}
		for _, r := range s.runs {
			if r.Last > s.doubt {
				kept = append(kept, runs.Run{First: max(r.First, s.doubt+1), Last: r.Last})
			}
		}
		s.runs = kept
	}
	slices.Sort(s.report.Damaged)
	s.report.Damaged = slices.Compact(s.report.Damaged)
	return l.setRuns(s.runs)
}
