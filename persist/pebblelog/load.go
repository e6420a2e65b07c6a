package pebblelog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/spatehub/spate/persist/internal/runs"
)

// formatVersion is the version of the layout of keys and values. In version 1 an
// index key was for one record; it is a list without a value, so such a log is
// read as it is, and marked so that an older program does not miss the others.
const (
	formatVersion = 2
	oldestVersion = 1
)

// load reads the state of a log from its database, and the newest ID ever. Of the
// records it looks only at those after the last closed chunk.
func load(g *generation, c *config) (s state, last uint64, err error) {
	s = newState(c)
	if err := checkVersion(g); err != nil {
		return s, 0, err
	}
	l := loader{db: g.db, state: &s, batch: g.db.NewBatch()}
	defer func() { err = errors.Join(err, l.batch.Close()) }()
	for _, step := range []func() error{l.loadState, l.loadFloors, l.loadChunks, l.loadTopics, l.loadOpenChunk, l.loadFirst} {
		if err := step(); err != nil {
			return s, 0, err
		}
	}
	if g.heals, err = getHeals(g.db); err != nil {
		return s, 0, err
	}
	if !l.batch.Empty() {
		if err := g.apply(l.batch, false); err != nil {
			return s, 0, err
		}
	}
	return s, l.last, nil
}

// checkVersion refuses what is not a log of this format, and marks a new one.
func checkVersion(g *generation) error {
	version := uint64(0)
	marked, err := get(g.db, stateVersion, func(v []byte) (err error) {
		version, err = parseVersion(v)
		return err
	})
	if err != nil || version == formatVersion {
		return err
	}
	if !marked {
		if err := requireEmpty(g); err != nil {
			return err
		}
	}
	if err := g.db.Set(stateVersion, binary.AppendUvarint(nil, formatVersion), pebble.Sync); err != nil {
		return err
	}
	return g.fence.err()
}

func parseVersion(v []byte) (uint64, error) {
	n, l := binary.Uvarint(v)
	if l <= 0 || n < oldestVersion || n > formatVersion {
		return 0, errLater(fmt.Sprintf("format %d", n), fmt.Sprintf("the formats %d to %d", oldestVersion, formatVersion))
	}
	return n, nil
}

// requireEmpty refuses a database that something else has written.
func requireEmpty(g *generation) error {
	it, err := g.db.NewIter(nil)
	if err != nil {
		return err
	}
	foreign := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	if foreign {
		return &toldError{text: ErrForeign.Error() + ": a database that is no event log", kind: ErrForeign}
	}
	return nil
}

type loader struct {
	db    *pebble.DB
	state *state
	batch *pebble.Batch // what has to be written
	last  uint64        // newest ID found so far
}

// scan calls fn for each key from lower to upper, exclusive.
func (l *loader) scan(lower, upper []byte, fn func(key, value []byte) error) (err error) {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := fn(it.Key(), v); err != nil {
			return err
		}
	}
	return it.Error()
}

func (l *loader) scanKind(kind byte, fn func(key, value []byte) error) error {
	return l.scan([]byte{kind}, []byte{kind + 1}, fn)
}

func (l *loader) loadState() error {
	return l.scanKind(keyState, func(key, v []byte) (err error) {
		switch {
		case bytes.Equal(key, stateFloor):
			l.state.floor, err = parseID(key, v)
		case bytes.Equal(key, stateCommon):
			var id uint64
			id, err = parseID(key, v)
			l.state.floors.SetCommon(id)
		case bytes.Equal(key, stateFormer):
			var id uint64
			id, err = parseID(key, v)
			l.state.floors.SetFormer(id)
		case bytes.Equal(key, stateGone):
			var id uint64
			id, err = parseID(key, v)
			l.state.floorTime = int64(id)
		case bytes.Equal(key, stateLast):
			l.last, err = parseID(key, v)
		case bytes.Equal(key, stateLost):
			l.state.lost, err = parseID(key, v)
		case bytes.HasPrefix(key, stateRun):
			var r runs.Run
			if r, err = parseRun(key, v); err == nil {
				l.state.runs = append(l.state.runs, r)
			}
		}
		return err
	})
}

func (l *loader) loadFloors() error {
	return l.scanKind(keyFloor, func(key, v []byte) error {
		id, err := parseID(key, v)
		if err == nil && id > l.state.floor {
			gone := func(topic string) { _ = l.batch.Delete(topicKey(keyFloor, topic), nil) }
			if l.state.floors.Raise(string(key[1:]), id, gone) {
				l.state.putMerged(l.batch)
			}
		}
		return err
	})
}

func (l *loader) loadChunks() error {
	return l.scan(chunkKey(nil, l.state.floor), []byte{keyChunk + 1}, func(key, v []byte) error {
		c, err := parseChunk(key, v)
		if err != nil || c.last <= l.state.floor {
			return err
		}
		l.state.push(c)
		l.last = max(l.last, c.last)
		return nil
	})
}

// loadTopics reads the counters of topics, or throws them away if they are of
// other topics than those that have bounds now.
func (l *loader) loadTopics() error {
	counted, found, err := getTopics(l.db)
	if err != nil {
		return err
	}
	want, had := l.state.signature(), ofSignature(counted)
	same := had.SameTopics(l.state.retention)
	if same && !bytes.HasSuffix(counted, uncounted) {
		return l.scanKind(keyCounter, func(key, v []byte) error {
			t, err := parseTopic(key, v)
			if err == nil {
				l.state.setTopic(t)
				l.state.markWasteful(t)
			}
			return err
		})
	}
	if found && !same {
		l.state.floors.Rebound()
		putID(l.batch, stateFormer, l.state.floors.Former())
	}
	_ = l.batch.DeleteRange([]byte{keyCounter}, []byte{keyCounter + 1}, nil)
	switch {
	case len(want) == 0:
		_ = l.batch.Delete(stateTopics, nil)
	case len(l.state.chunks) > 0:
		l.state.recountTo = l.state.chunks[len(l.state.chunks)-1].last
		_ = l.batch.Set(stateTopics, append(want, uncounted...), nil)
	default:
		_ = l.batch.Set(stateTopics, want, nil)
	}
	return nil
}

// getTopics returns the signature of the topics that have counters.
func getTopics(db *pebble.DB) (signature []byte, found bool, err error) {
	found, err = get(db, stateTopics, func(v []byte) error {
		signature = bytes.Clone(v)
		return nil
	})
	return signature, found, err
}

// loadOpenChunk counts the records after the last closed chunk.
func (l *loader) loadOpenChunk() error {
	from := l.state.floor
	if n := len(l.state.chunks); n > 0 {
		from = max(from, l.state.chunks[n-1].last)
	}
	return l.scan(recordKey(nil, from+1), []byte{keyRecord + 1}, func(key, v []byte) error {
		h, err := parseHeader(v)
		if err != nil {
			return err
		}
		id := keyID(key)
		l.state.countRecord(id, text(v[h.topic0:h.topic1]), h.users >= 0, h.time, int64(h.size(v)), l.batch)
		l.last = max(l.last, id)
		return nil
	})
}

func (l *loader) loadFirst() (err error) {
	l.state.first, err = seekRecord(l.db, l.state.floor, l.last)
	return err
}

// seekRecord returns the ID of the first record after one ID and up to another, 0
// if there is none.
func seekRecord(db *pebble.DB, after, upTo uint64) (id uint64, err error) {
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: recordKey(nil, after+1),
		UpperBound: recordKey(nil, upTo+1),
	})
	if err != nil {
		return 0, err
	}
	if it.First() {
		id = keyID(it.Key())
	}
	return id, errors.Join(it.Error(), it.Close())
}

// get calls fn with the value of key, if it is there.
func get(db *pebble.DB, key []byte, fn func(v []byte) error) (found bool, err error) {
	v, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	return true, fn(v)
}
