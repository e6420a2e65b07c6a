package persist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spatehub/spate/wire"
)

// The logs of this project are Stores too, so that they can be used where a Store
// is asked for, and so that a program can list what was sent. What the two faces
// have in common is here, for whoever writes a Log.

// Save implements [Store]: it appends one event, whose ID must be decimal and
// greater than the last one.
func (m *Memory) Save(ctx context.Context, e *wire.Event) error {
	r, err := RecordOf(e, m.cfg.clock.Now())
	if err != nil {
		return err
	}
	return m.Append(ctx, []Record{r})
}

// ListByLastID implements [Store]: it returns the events after lastID ("" is the
// beginning) of a type ("" is any), oldest first. next is the ID of the last event
// returned if more follow, else "".
func (m *Memory) ListByLastID(ctx context.Context, eventType, lastID string, pageSize int) ([]*wire.Event, string, error) {
	return ListByLastID(ctx, m, eventType, lastID, pageSize)
}

// RecordOf encodes an event that has an ID, with the time at which it is appended. Types
// that are a hub's own are refused, as by a push.
func RecordOf(e *wire.Event, at time.Time) (Record, error) {
	if e == nil {
		return Record{}, fmt.Errorf("%w: nil event", ErrRecord)
	}
	id, err := wire.ParseID(e.ID)
	if err != nil {
		return Record{}, err
	}
	if err := e.ValidateType(); err != nil {
		return Record{}, err
	}
	frame, err := wire.AppendEvent(nil, e)
	if err != nil {
		return Record{}, err
	}
	return Record{
		ID:    id,
		Users: e.Users,
		Topic: e.Topic,
		Key:   e.Key,
		Time:  at.UnixMilli(),
		Frame: frame,
	}, nil
}

// EventOf decodes a record. The type is as it was pushed, "" included, Data a
// string; Users are those of the record.
func EventOf(r *Record) (*wire.Event, error) {
	e := &wire.Event{ID: wire.FormatID(r.ID), Topic: r.Topic, Users: r.Users, Key: r.Key, Data: ""}
	p := wire.Parser{MaxEventSize: len(r.Frame) + 1}
	found := errors.New("found")
	err := p.Feed(r.Frame, func(raw wire.RawEvent) error {
		e.Event, e.Data, e.Retry = string(raw.Event), string(raw.Data), raw.Retry
		return found
	})
	if !errors.Is(err, found) {
		return nil, fmt.Errorf("persist: record %d does not hold an event: %w", r.ID, errors.Join(ErrRecord, err))
	}
	return e, nil
}

// sameType reports whether an event is of the type that was asked for. An event
// without a type is a "message".
func sameType(e *wire.Event, want string) bool {
	if want == "" || e.Event == want {
		return true
	}
	return e.Event == "" && want == wire.DefaultEventType
}

// ListByLastID is [Store].ListByLastID on top of a Log: the events after lastID (""
// is the beginning) of a type ("" is any), oldest first, at most pageSize (0 or less
// is 1024). next is the ID of the last one if more follow, else "".
func ListByLastID(ctx context.Context, l Log, eventType, lastID string, pageSize int) (events []*wire.Event, next string, err error) {
	var after uint64
	if lastID != "" {
		id, err := wire.ParseID(lastID)
		if err != nil {
			return nil, "", err
		}
		after = id
	}
	if pageSize <= 0 {
		pageSize = defaultPageRecords
	}
	for {
		// One more than a page tells whether another page follows.
		page, err := l.Read(ctx, after, Limit{Records: pageSize + 1})
		if err != nil {
			return nil, "", err
		}
		if page.UpTo == after {
			return events, "", nil
		}
		after = page.UpTo
		for i := range page.Records {
			e, err := EventOf(&page.Records[i])
			if err != nil {
				return nil, "", err
			}
			if !sameType(e, eventType) {
				continue
			}
			if len(events) == pageSize {
				return events, events[pageSize-1].ID, nil
			}
			events = append(events, e)
		}
	}
}
