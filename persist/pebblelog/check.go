package pebblelog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/spatehub/spate/persist"
)

// Report is what [Check], [Restore] and [Repair] found.
type Report struct {
	Records     int64  // that can be read
	First, Last uint64 // their IDs, 0 if there are none
	Bytes       int64  // frames and names
	Floor       uint64 // up to here retention has removed everything
	Runs        int

	Tables   int              // files that were read
	Damaged  []string         // what is damaged or missing, a line each
	LostTail persist.LostTail // acknowledged records that are missing at the end
}

// Whole reports whether nothing is damaged or missing.
func (r *Report) Whole() bool { return len(r.Damaged) == 0 && r.LostTail == persist.LostTail{} }

func (r *Report) damage(format string, args ...any) {
	r.Damaged = append(r.Damaged, fmt.Sprintf(format, args...))
}

// Check reads all of a log that no hub has open, every block of every table and every
// record, and changes nothing. What is damaged is in the report; the error is for a
// folder that could not be looked at: [persist.ErrLocked], [ErrForeign], [ErrFormat],
// or one of the file system.
func Check(ctx context.Context, dir string, opts ...Option) (Report, error) {
	cfg := newConfig(opts)
	r, err := check(ctx, &cfg, dir)
	if err != nil {
		return r, fmt.Errorf("persist: check %q: %w", dir, told(err))
	}
	return r, nil
}

func check(ctx context.Context, cfg *config, dir string) (r Report, err error) {
	if err := requireLog(cfg.fs, dir); err != nil {
		return r, err
	}
	unlock, err := lockSource(cfg.fs, dir)
	if err != nil {
		return r, err
	}
	defer unlock()
	return checkLocked(ctx, cfg, dir)
}

// checkLocked is check of a folder that nobody else has.
func checkLocked(ctx context.Context, cfg *config, dir string) (r Report, err error) {
	if err := inspect(cfg.fs, dir); err != nil {
		err = r.took(err)
		return r, err
	}
	db, err := pebble.Open(dir, readOnly(cfg, dir))
	if err != nil {
		err = r.took(openError(cfg.fs, dir, err))
		return r, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := readOnlyVersion(db); err != nil {
		err = r.took(told(err))
		return r, err
	}
	if err := r.checkTables(ctx, cfg, dir, db); err != nil {
		return r, err
	}
	refused, err := refusedFrom(db, cfg.fs, dir)
	if err != nil {
		err = r.took(told(err))
		return r, err
	}
	if err := r.checkRecords(ctx, db, refused); err != nil {
		return r, err
	}
	points, _ := readMark(cfg.fs, dir)
	r.LostTail = lostTail(points, r.last(db))
	return r, nil
}

// took notes an error that says what is damaged; others are passed on.
func (r *Report) took(err error) error {
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	r.damage("%s", damageOf(err))
	return nil
}

// damageOf is the text of an ErrDamaged without its head.
func damageOf(err error) string {
	var t *toldError
	if errors.As(err, &t) && len(t.text) > len(ErrDamaged.Error())+2 && errors.Is(t, ErrDamaged) {
		return t.text[len(ErrDamaged.Error())+2:]
	}
	return told(err).Error()
}

// readOnly returns the options of a database that is looked at.
func readOnly(cfg *config, dir string) *pebble.Options {
	p := &Log{cfg: *cfg, dir: dir}
	opts := p.pebbleOptions(&fence{})
	opts.FS = unlocked{summed{cfg.fs}}
	opts.ReadOnly = true
	opts.Logger = silent{}
	opts.EventListener = &pebble.EventListener{
		BackgroundError: func(error) {},
		DataCorruption:  func(pebble.DataCorruptionInfo) {},
	}
	return opts
}

// silent takes what Pebble wants to tell of a database that is looked at: it returns
// its errors as well.
type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

func readOnlyVersion(db *pebble.DB) error {
	found := false
	_, err := get(db, stateVersion, func(v []byte) error {
		found = true
		_, err := parseVersion(v)
		return err
	})
	if err == nil && !found {
		return &toldError{text: ErrForeign.Error() + ": a database that is no event log", kind: ErrForeign}
	}
	return err
}

// checkTables reads every block of the live tables.
func (r *Report) checkTables(ctx context.Context, cfg *config, dir string, db *pebble.DB) error {
	levels, err := db.SSTables()
	if err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, level := range levels {
		for _, t := range level {
			name := fmt.Sprintf("%06d.sst", uint64(t.BackingSSTNum))
			if seen[name] {
				continue
			}
			seen[name] = true
			if err := ctx.Err(); err != nil {
				return err
			}
			r.Tables++
			if err := checkTable(cfg.fs, cfg.fs.PathJoin(dir, name)); err != nil {
				r.damage("%s is damaged", name)
			}
		}
	}
	return nil
}

func checkTable(fsys vfs.FS, name string) (err error) {
	t, err := openTable(fsys, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	return t.ValidateBlockChecksums()
}

func openTable(fsys vfs.FS, name string) (*sstable.Reader, error) {
	f, err := summed{fsys}.Open(name)
	if err != nil {
		return nil, err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	var opts pebble.Options
	opts.EnsureDefaults()
	t, err := sstable.NewReader(context.Background(), readable, opts.MakeReaderOptions())
	if err != nil {
		return nil, errors.Join(err, readable.Close())
	}
	return t, nil
}

// checkRecords reads every record up to those that were refused, which the log deletes when
// it is opened, and compares the numbers of the chunks with them.
func (r *Report) checkRecords(ctx context.Context, db *pebble.DB, refused uint64) error {
	cfg := newConfig(nil)
	st := newState(&cfg)
	l := loader{db: db, state: &st, batch: db.NewBatch()}
	defer func() { _ = l.batch.Close() }()
	for _, step := range []func() error{l.loadState, l.loadFloors, l.loadChunks} {
		if err := step(); err != nil {
			r.damage("the state of the log can't be read: %s", damageOf(err))
			return nil
		}
	}
	r.Floor, r.Runs = st.floor, len(st.runs)
	counts := make(map[uint64]int64, len(st.chunks))
	var failed error
	err := l.scan(recordKey(nil, st.floor+1), recordKey(nil, refused), func(key, v []byte) error {
		if r.Records%4096 == 0 {
			if failed = ctx.Err(); failed != nil {
				return failed
			}
		}
		id := keyID(key)
		h, err := parseHeader(v)
		if err != nil {
			r.damage("record %d can't be read", id)
			return nil
		}
		r.Records++
		r.Bytes += int64(h.size(v))
		if r.First == 0 {
			r.First = id
		}
		r.Last = id
		if c, _ := st.find(id); c != nil {
			counts[c.first]++
		}
		return nil
	})
	if failed != nil {
		return failed
	}
	if err != nil {
		r.damage("records after %d can't be read: %s", r.Last, damageOf(err))
		return nil
	}
	for i := range st.chunks {
		if c := &st.chunks[i]; c.last < refused && counts[c.first] != c.count {
			r.damage("of the IDs from %d to %d there are %d records, and should be %d", c.first, c.last, counts[c.first], c.count)
		}
	}
	slices.Sort(r.Damaged)
	r.Damaged = slices.Compact(r.Damaged)
	return nil
}

// last returns the newest ID ever, of a log that could be read.
func (r *Report) last(db *pebble.DB) uint64 {
	last := r.Last
	_, _ = get(db, stateLast, func(v []byte) error {
		id, err := parseID(stateLast, v)
		last = max(last, id)
		return err
	})
	return last
}
