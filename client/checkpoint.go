package client

import (
	"context"
	"time"
)

// Checkpoint stores a client's position, so that a later life of the program goes
// on from there. A client calls one method at a time, and may do so from different
// goroutines.
type Checkpoint interface {
	// Load returns the ID that was saved last, "" if there is none. It is called
	// once, before the first connection.
	Load(ctx context.Context) (id string, err error)
	// Save stores id in place of what was stored before. After a crash either of
	// them is there. id can be "", where the server has taken its IDs back. ctx
	// ends after ten seconds; the client's events, and its end, wait for Save.
	Save(ctx context.Context, id string) error
}

// Delivery says when a position is saved, and so what becomes of events around a
// crash of the program. Whatever it is, a connection that is lost and made again
// in the life of a program loses and repeats nothing.
type Delivery int

const (
	// AtLeastOnce saves an event's ID after it has been handled: when its
	// callbacks have returned, and the loop's body has asked for the next event.
	// A loop that is left has not handled its last event. After a crash, events
	// are handed out again: the one that was being handled, and those of the last
	// [WithCheckpointInterval].
	AtLeastOnce Delivery = iota

	// ManualAck saves an ID when [SSEClient.Ack] is called, for programs that
	// handle events elsewhere than in the callback or loop. After a crash, all
	// events after the last acknowledged one are handed out again.
	ManualAck

	// AtMostOnce saves an event's ID before it is handed out. After a crash, the
	// event that was being handled is not handed out again: it may be lost, and it
	// is never handled twice. Each event costs a Save, and one that fails ends the
	// client.
	AtMostOnce
)

// keepConfig is the options of a checkpoint.
type keepConfig struct {
	store       Checkpoint // nil: none
	mode        Delivery
	interval    time.Duration
	intervalSet bool
}

// WithCheckpoint makes the client begin after the ID that store has, and save its
// position there. See [FileCheckpoint] for one in a file.
func WithCheckpoint(store Checkpoint, mode Delivery) Option {
	return func(c *config) {
		c.life = append(c.life, "WithCheckpoint")
		if store == nil {
			c.fault("WithCheckpoint", "has no store")
		}
		if mode < AtLeastOnce || mode > AtMostOnce {
			c.fault("WithCheckpoint", "has an unknown mode")
		}
		c.keep.store, c.keep.mode = store, mode
	}
}

// WithCheckpointInterval lets [AtLeastOnce] save a position up to d after it was
// reached, so that a fast stream does not cost a Save for each event. 0 saves after
// each event. The end of the client saves in any case. The default is
// [DefaultCheckpointInterval].
func WithCheckpointInterval(d time.Duration) Option {
	return func(c *config) {
		c.life = append(c.life, "WithCheckpointInterval")
		if d < 0 {
			c.fault("WithCheckpointInterval", "must not be negative")
		}
		c.keep.interval, c.keep.intervalSet = d, true
	}
}

// Ack saves id, that of an event of this client, as the position to go on from
// after a restart of the program: it acknowledges the event and all before it. It
// may be called from any goroutine, also after the client's end, and needs
// WithCheckpoint with [ManualAck].
func (c *SSEClient) Ack(id string) error {
	if c.cfg.keep.store == nil || c.cfg.keep.mode != ManualAck {
		return errNoAck
	}
	return c.keeper.ack(id)
}
