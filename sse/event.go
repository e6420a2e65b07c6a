package sse

import (
	"errors"

	"github.com/spatehub/spate/wire"
)

// DefaultEventType is the type of an event that names none.
const DefaultEventType = wire.DefaultEventType

// closeEventType is the type that ends an [SSEClient] for good.
const closeEventType = "close"

// Event is one event: a [wire.Event] under the name that users of this package
// know. Its ID is the hub's to give.
type Event wire.Event

// CheckValid returns an error where the event has no type or no data.
// [Hub.Push] refuses both.
func (e *Event) CheckValid() error {
	switch {
	case e == nil:
		return errors.New("sse: event is nil")
	case e.Event == "":
		return errors.New("sse: event has no type")
	case e.Data == nil:
		return errors.New("sse: event has no data")
	}
	return nil
}

// CloseEvent returns the event that tells every [SSEClient] to end and not to
// come back. Browsers take it for an event like any other.
func CloseEvent() *Event {
	return &Event{Event: closeEventType, Data: "the server is closed: do not reconnect", Ephemeral: true}
}

// wireEvents returns the same events under engine's type.
func wireEvents(events []*Event) []*wire.Event {
	list := make([]*wire.Event, len(events))
	for i, e := range events {
		list[i] = (*wire.Event)(e)
	}
	return list
}
