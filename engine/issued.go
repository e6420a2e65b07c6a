package engine

import (
	"context"

	"github.com/spatehub/spate/persist"
)

// This file asks the log about IDs from before the hub began, on behalf of those
// who want a seat.

// looks bounds the readings of the log for seats that are under way at a time.
type looks chan struct{}

func (l looks) enter(ctx context.Context) error {
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l looks) leave() { <-l }

// issued says whether the present history gave the ID out, or one begins right
// after it: who is there has missed nothing.
func (h *Hub) issued(ctx context.Context, id eventID) (bool, error) {
	if err := h.looks.enter(ctx); err != nil {
		return false, err
	}
	defer h.looks.leave()
	ask := h.log.Has
	if runs, ok := h.log.(persist.Runs); ok {
		ask = runs.Issued
	}
	known, err := ask(ctx, uint64(id))
	if err == nil && !known {
		known, err = ask(ctx, uint64(id)+1)
	}
	if err != nil {
		return false, historyError(ctx, err)
	}
	return known, nil
}

// recordAfter returns the first record after an ID, whoever it is for.
func (h *Hub) recordAfter(ctx context.Context, id eventID) (r persist.Record, found bool, err error) {
	if err := h.looks.enter(ctx); err != nil {
		return r, false, err
	}
	defer h.looks.leave()
	page, err := h.log.Read(ctx, uint64(id), persist.Limit{Records: 1})
	if err != nil {
		return r, false, historyError(ctx, err)
	}
	if len(page.Records) == 0 {
		return r, false, nil
	}
	return page.Records[0], true, nil
}
