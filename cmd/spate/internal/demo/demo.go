// Package demo feeds a hub with real measurements of the machine it runs on, so that a fresh hub has something true to
// show: processor, memory, network, load and the hub's own statistics, four times a second, each as a topic.
package demo

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// Interval is the time between two measurements.
const Interval = 250 * time.Millisecond

// Topics are the topics of the feed. An event's type is its topic, and its data a JSON object that has at least "t",
// the time of the measurement in Unix milliseconds.
var Topics = []string{"cpu", "mem", "net", "load", "hub"}

// Publisher takes the feed's events; an engine.Hub is one.
type Publisher interface {
	Push(uids []string, events ...*wire.Event) error
}

// Reading is one measurement: what goes out as the data of one event of the topic.
type Reading struct {
	Topic string
	Data  any
}

// Source takes measurements. A Source is used by one goroutine.
type Source interface {
	// Read returns what could be measured at the time now, and an error for what could not. The first call of a source
	// of rates has no rate yet.
	Read(now time.Time) ([]Reading, error)
}

// Run pushes what the sources measure every Interval, as one batch, until ctx ends or the hub is closed. Trouble is
// logged when it begins and when it ends, not four times a second between.
func Run(ctx context.Context, hub Publisher, log *slog.Logger, sources ...Source) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	reading, pushing := trouble{log: log, what: "measuring"}, trouble{log: log, what: "pushing"}
	for {
		events, err := measure(time.Now(), sources)
		reading.report(err)
		if len(events) > 0 {
			err = hub.Push(nil, events...)
			if errors.Is(err, engine.ErrClosed) {
				return
			}
			pushing.report(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// measure asks every source and makes events of what it says.
func measure(now time.Time, sources []Source) ([]*wire.Event, error) {
	var events []*wire.Event
	var errs []error
	for _, s := range sources {
		readings, err := s.Read(now)
		if err != nil {
			errs = append(errs, err)
		}
		for _, r := range readings {
			events = append(events, &wire.Event{Event: r.Topic, Topic: r.Topic, Key: r.Topic, Data: r.Data})
		}
	}
	return events, errors.Join(errs...)
}

// trouble logs an error at its first appearance, and its end.
type trouble struct {
	log  *slog.Logger
	what string
	now  bool
}

func (t *trouble) report(err error) {
	switch {
	case err != nil && !t.now:
		t.log.Warn("demo feed: "+t.what+" fails", "err", err)
	case err == nil && t.now:
		t.log.Info("demo feed: " + t.what + " works again")
	}
	t.now = err != nil
}
