package client

import (
	"context"
	"errors"
	"sync"
	"time"
)

var errNoAck = errors.New("client: Ack needs WithCheckpoint with ManualAck")

// keeper saves positions by the mode. Its methods but ack and the timer's are the
// reading goroutine's.
type keeper struct {
	keepConfig

	mu      sync.Mutex
	pending []byte    // reached, and not saved
	dirty   bool      // there is a pending position
	saved   string    // what the store has
	at      time.Time // when that was saved
	timer   *time.Timer
	err     error // of a Save by the timer, to be told by the reading goroutine
	ended   bool  // by flush: the timer must not save any more
}

// load reads the position to begin with; ok is false if there is no checkpoint, or
// none in it.
func (k *keeper) load(ctx context.Context) (id string, ok bool, err error) {
	if k.store == nil {
		return "", false, nil
	}
	if id, err = k.store.Load(ctx); err != nil {
		return "", false, &CheckpointError{Err: err}
	}
	k.saved = id
	return id, id != "", nil
}

// before is called with the position after an event that is about to be handed
// out. An error forbids that.
func (k *keeper) before(id []byte) error {
	if k.store == nil || k.mode != AtMostOnce {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if string(id) == k.saved {
		return nil
	}
	return k.save(string(id))
}

// after is called with the position after an event that has been handled. Its
// error is of an earlier or this Save, which will be tried again.
func (k *keeper) after(id []byte) error {
	if k.store == nil || k.mode != AtLeastOnce {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.err
	k.err = nil
	if !k.dirty && string(id) == k.saved {
		return err
	}
	k.pending, k.dirty = append(k.pending[:0], id...), true
	wait := k.interval - time.Since(k.at)
	if wait <= 0 {
		return errors.Join(err, k.savePending())
	}
	if k.timer == nil {
		k.timer = time.AfterFunc(wait, k.tick)
	}
	return err
}

// tick saves what is pending, in the timer's goroutine.
func (k *keeper) tick() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer = nil
	if k.ended {
		return
	}
	if err := k.savePending(); err != nil {
		k.err = err
		k.timer = time.AfterFunc(max(k.interval, time.Second), k.tick)
	}
}

// flush saves what is pending for the last time.
func (k *keeper) flush() error {
	if k.store == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	if k.timer != nil {
		k.timer.Stop()
	}
	return k.savePending()
}

// ack saves id at once.
func (k *keeper) ack(id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if id == k.saved && !k.at.IsZero() {
		return nil
	}
	return k.save(id)
}

func (k *keeper) savePending() error {
	if !k.dirty {
		return nil
	}
	if string(k.pending) == k.saved {
		k.dirty = false
		return nil
	}
	return k.save(string(k.pending))
}

// maxSave bounds a Save.
const maxSave = 10 * time.Second

// save stores id. It is not cut short by the client's end, which comes after it.
func (k *keeper) save(id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), maxSave)
	defer cancel()
	k.at = time.Now()
	if err := k.store.Save(ctx, id); err != nil {
		return &CheckpointError{Err: err}
	}
	k.saved, k.dirty = id, false
	return nil
}
