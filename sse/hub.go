package sse

import (
	"context"
	"fmt"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// Hub brings events to the connections of users. All methods may be called from
// any goroutine at any time.
type Hub struct {
	// PushStats tells what became of what was pushed.
	PushStats *PushStats

	hub    *engine.Hub
	cancel context.CancelFunc
}

// NewHub starts a hub. It must be closed.
func NewHub(opts ...HubOption) *Hub {
	var c hubConfig
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	h := engine.NewHub(c.engine...)
	return &Hub{PushStats: &PushStats{h}, hub: h, cancel: c.cancel}
}

// Engine returns the hub's engine, which has more: topics, statistics, pushes
// that return IDs.
func (h *Hub) Engine() *engine.Hub { return h.hub }

// Push sends events to all connections of the users, or to everyone where uids
// is nil, and returns when they are kept and in order; see [engine.Hub.Push]. On
// success each event's ID is the one that it was given, so an event must not be
// in two pushes at a time.
//
// All events of one push are accepted or none. An empty list that is not nil is
// [engine.ErrNoUsers]: it must never become a broadcast.
func (h *Hub) Push(uids []string, events ...*Event) error {
	list := make([]*wire.Event, len(events))
	for i, e := range events {
		if err := e.CheckValid(); err != nil {
			return fmt.Errorf("events[%d]: %w", i, err)
		}
		own := wire.Event(*e)
		own.ID = "" // whatever it is, the hub gives another
		list[i] = &own
	}
	ids, err := h.hub.Publish(context.Background(), uids, list...)
	if err != nil {
		return err
	}
	for i, e := range events {
		e.ID = ""
		if ids[i] != 0 {
			e.ID = wire.FormatID(ids[i])
		}
	}
	return nil
}

// PushHeartBeat sends an ephemeral event of type "heartbeat" to a user. The hub
// keeps idle connections alive without it.
func (h *Hub) PushHeartBeat(uid string) {
	// What can fail is the user's name, or that the hub is closed: there is nobody
	// to keep alive then.
	_ = h.hub.Push([]string{uid}, &wire.Event{Event: "heartbeat", Data: "", Ephemeral: true})
}

// OnlineClientsNum returns the number of connections.
func (h *Hub) OnlineClientsNum() int { return h.hub.OnlineClientsNum() }

// PrintPushStats writes the counters to the hub's logger.
func (h *Hub) PrintPushStats() { h.hub.PrintPushStats() }

// Close sends what waits for the connections, within the drain time-out, and
// closes them. Every [SSEClient] is told before not to come back, unless false
// is passed: then they reconnect, as browsers do in any case.
func (h *Hub) Close(stayAway ...bool) {
	ctx, cancel := context.WithTimeout(context.Background(), h.hub.DrainTimeout())
	defer cancel()
	if len(stayAway) == 0 || stayAway[0] {
		_, _ = h.hub.Publish(ctx, nil, (*wire.Event)(CloseEvent())) // a closed hub has told it before
	}
	_ = h.hub.Shutdown(ctx)
	if h.cancel != nil {
		h.cancel()
	}
}

// PushStats counts deliveries: an event to three connections counts as three.
type PushStats struct{ hub *engine.Hub }

// Snapshot returns what was to be delivered, what was, what came to nothing
// (dropped, failed, without a receiver), and what waited until the push time-out.
// At rest total is the sum of the others, but for conflated events.
func (s *PushStats) Snapshot() (total, success, failed, timeout int64) {
	st := s.hub.Stats()
	return int64(st.Pushed), int64(st.Delivered), int64(st.Dropped + st.Failed + st.NoReceiver), int64(st.TimedOut)
}
