package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// A note is a record that a push leaves in the log with its events, for the publisher
// to find again: either all of them are there after a crash, or none. It is an event
// to nobody: its audience is persist.NoteUser, who cannot connect.

// ErrNoNotes is returned by PublishNoted and Notes of a hub that keeps no notes. One that
// follows does where its source is a NotedSource, by PublishOnce alone. Nor does one
// whose log is not persist.Dated, such as persist.FromStore: records without a time last
// for no window, and what does not keep a batch whole may have the note without its events.
var ErrNoNotes = errors.New("spate: hub keeps no notes")

var (
	errFollowsNotes = fmt.Errorf("%w: it follows others", ErrNoNotes)
	errUndatedNotes = fmt.Errorf("%w: its log does not find times (persist.Dated), as with persist.FromStore", ErrNoNotes)
)

// NotedSource is a Source that keeps notes with events, for all who follow it.
type NotedSource interface {
	Source

	// AssignNoted is Assign that leaves a note with the events, once for a key: where
	// the key is there already, whoever left it, it adds nothing, and need not return
	// before ctx ends. That note is among those of Notes or OnNote.
	AssignNoted(ctx context.Context, key string, note []byte, uids []string, events []*wire.Event) (ids []uint64, err error)

	// Notes calls fn for the notes since a time, in their order, until now or until fn
	// returns an error.
	Notes(ctx context.Context, since time.Time, fn func(Note) error) error

	// OnNote has fn called with each note that is applied from now on, in their order,
	// perhaps again. It must not block. It replaces the one before.
	OnNote(fn func(Note))
}

func (h *Hub) notedSource() (NotedSource, bool) {
	src, is := h.cfg.source.(NotedSource)
	return src, is
}

// PublishOnce is PublishNoted for a note with a key. Where the hub follows others, one
// of them may have left the same key: see NotedSource.
func (h *Hub) PublishOnce(ctx context.Context, key string, note any, uids []string, events ...*wire.Event) ([]uint64, error) {
	src, is := h.notedSource()
	if !is {
		return h.PublishNoted(ctx, note, uids, events...)
	}
	text, err := json.Marshal(note)
	if err != nil {
		return nil, err
	}
	if !h.life.enter() {
		return nil, ErrClosed
	}
	defer h.life.leave()
	if err := h.checkPush(uids, events); err != nil {
		return nil, err
	}
	if err := h.checkOwnTopic(events); err != nil {
		return nil, err
	}
	assign := func(ctx context.Context, uids []string, events []*wire.Event) ([]uint64, error) {
		return src.AssignNoted(ctx, key, text, uids, events)
	}
	return h.forwardTo(ctx, assign, uids, events)
}

// OnNote has fn called with each note that comes from now on, others' too. It returns
// false for a hub that does not follow others who keep notes: there are its own alone.
func (h *Hub) OnNote(fn func(Note)) bool {
	src, is := h.notedSource()
	if is {
		src.OnNote(fn)
	}
	return is
}

// takesNotes returns why the hub keeps no notes, nil if it does.
func (h *Hub) takesNotes() error {
	_, dated := h.log.(persist.Dated)
	switch {
	case h.follow != nil:
		return errFollowsNotes
	case h.log != nil && !dated:
		return errUndatedNotes
	}
	return nil
}

const noteEvent = "note"

// PublishNoted is Publish that leaves a note, which is written as JSON, in the same
// batch of the log. The note has an ID of its own, the one before the first of the
// events', and counts as an event in Stats.Events and for retention. Without a log
// nothing is left.
func (h *Hub) PublishNoted(ctx context.Context, note any, uids []string, events ...*wire.Event) ([]uint64, error) {
	if err := h.takesNotes(); err != nil {
		return nil, err
	}
	if !h.life.enter() {
		return nil, ErrClosed
	}
	defer h.life.leave()
	if err := h.checkPush(uids, events); err != nil {
		return nil, err
	}
	if err := h.checkOwnTopic(events); err != nil {
		return nil, err
	}
	noted := make([]*wire.Event, 0, len(events)+1)
	noted = append(append(noted, &wire.Event{Event: noteEvent, Data: note}), events...)
	var load parcel
	bufs, err := h.pack(&load, nil, uids, noted)
	if err != nil {
		var at *EventError
		switch {
		case !errors.As(err, &at):
			return nil, err
		case len(events) == 1:
			return nil, at.Err
		}
		return nil, &EventError{Index: at.Index - 1, Err: at.Err}
	}
	load.held -= load.heldBy(bufs[0], noted[0], 0, len(noted))
	if load.each == nil {
		load.each = make([]receivers, len(noted))
	}
	load.each[0] = receivers{private: true, one: persist.NoteUser} // no shard has it
	load.held += load.heldBy(bufs[0], noted[0], 0, len(noted))
	p, err := h.publish(ctx, &load, bufs, noted, nil, waitCommit)
	if err != nil {
		return nil, err
	}
	return appendIDs(make([]uint64, 0, len(events)), p.first+1, events), nil
}

// Note is what PublishNoted left.
type Note struct {
	ID   uint64 // the events' IDs follow it
	Time time.Time
	Data json.RawMessage
}

// Notes calls fn for the notes that the log has since a time, in their order, until it
// returns an error. A hub that follows has those of its source, if any. Errors:
// ErrNoNotes for a log that is not persist.Dated; the log's. ctx bounds it.
func (h *Hub) Notes(ctx context.Context, since time.Time, fn func(Note) error) error {
	if src, is := h.notedSource(); is {
		return src.Notes(ctx, since, fn)
	}
	if h.log == nil || h.follow != nil {
		return nil
	}
	dated, ok := h.log.(persist.Dated)
	if !ok {
		return errUndatedNotes
	}
	after, err := dated.After(ctx, since)
	if err != nil {
		return err
	}
	only := persist.Query{User: persist.NoteUser}
	for {
		var page persist.Page
		var err error
		if q, ok := h.log.(persist.Querier); ok {
			page, err = q.Query(ctx, only, after, persist.Limit{})
		} else {
			page, err = h.log.Read(ctx, after, persist.Limit{})
		}
		if err != nil {
			return err
		}
		for i := range page.Records {
			r := &page.Records[i]
			if !only.Selects(r) {
				continue
			}
			text, _ := decodeFrame(r.Frame).Data.(string)
			if err := fn(Note{ID: r.ID, Time: time.UnixMilli(r.Time), Data: json.RawMessage(text)}); err != nil {
				return err
			}
		}
		if page.UpTo == after {
			return nil
		}
		after = page.UpTo
	}
}
