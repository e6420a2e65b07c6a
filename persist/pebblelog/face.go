package pebblelog

import (
	"context"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// Save implements [persist.Store]: it appends one event, whose ID must be decimal
// and greater than the last one.
func (p *Log) Save(ctx context.Context, e *wire.Event) error {
	r, err := persist.RecordOf(e, p.cfg.clock.Now())
	if err != nil {
		return err
	}
	return p.Append(ctx, []persist.Record{r})
}

// ListByLastID implements [persist.Store]: it returns the events after lastID (""
// is the beginning) of a type ("" is any), oldest first. next is the ID of the last
// event returned if more follow, else "".
func (p *Log) ListByLastID(ctx context.Context, eventType, lastID string, pageSize int) ([]*wire.Event, string, error) {
	return persist.ListByLastID(ctx, p, eventType, lastID, pageSize)
}
