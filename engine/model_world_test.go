package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// The world of the model check: the real ring, shard, journal
// books and catch-up code, with nothing that runs by itself. Every step of a
// publisher, the log, its reader, the shard, the clock, the sink and the client
// is an action (model_actions_test.go) that the explorer in model_test.go calls in
// any order; model_checks_test.go is what must hold after each.

// modelStart is the ID before the first event. IDs of four digits make all
// frames equally long. An event's data is modelStart and its position.
const modelStart = 1000

// modelFrame is the length of every event's frame.
const modelFrame = len("id: 1001\ndata: 1001\n\n")

// modelSetup is one variant of the world.
type modelSetup struct {
	name      string
	log       bool
	indexed   bool // the log is a Querier
	immediate bool
	conflate  bool
	policy    Policy
	form      Form
	old       int // events in the log, or pushed, before the client comes
	resumes   bool
	noResend  bool // history is not served
	batches   bool // live writes come in batches
	follows   bool // IDs come from elsewhere, with holes
	unknown   bool // the client comes with an ID that was never issued
	patient   bool // events wait for it until the next tick
}

var errModelLog = errors.New("log refuses")

type modelWorld struct {
	modelSetup
	h   *Hub
	s   *shard
	log *modelLog

	run    *journalRun // appended, not yet settled
	runErr error
	read   *history // a reader has its answer, and has not given it

	events map[position]modelEvent
	given  eventID // the last ID given by somebody else
	client *client // that has taken its seat
	sink   *modelSink
	seat   *Seat // not yet taken
	stand  point // where the latest seat was taken

	from    eventID  // the client's last ID, or where it started
	lastSeq position // last event received, ephemeral ones included
	toldTo  eventID  // end of the latest gap told
	newest  map[string]uint64
	failed  []string // broken promises
}

// modelEvent is what the world knows of an event.
type modelEvent struct {
	at        point // its ID, or of an ephemeral one that of those before it
	mine      bool
	ephemeral bool
	key       string
	failed    bool
	fate      byte // 'd' delivered, 'g' told as lost, 0 neither
}

func newModelWorld(setup modelSetup) *modelWorld {
	opts := []HubOption{WithChanBufferSize(16), WithLogger(slog.New(slog.DiscardHandler)),
		WithShards(1), WithHeartbeat(-1), WithPushTimeout(1<<30, 1), WithPolicy(setup.policy)}
	cfg := newConfig(opts)
	cfg.immediate, cfg.resend = setup.immediate, !setup.noResend
	if setup.patient {
		cfg.patience = 1000 * time.Hour
	}
	w := &modelWorld{modelSetup: setup, events: map[position]modelEvent{}, newest: map[string]uint64{}}
	if setup.follows {
		cfg.assign = func(context.Context, []string, []*wire.Event) ([]uint64, error) { panic("nobody pushes") }
	}
	var log persist.Log
	if setup.log {
		w.log = &modelLog{}
		log = w.log
		if setup.indexed {
			log = modelQuerier{w.log}
		}
	}
	h := buildHub(cfg, log, modelStart)
	h.wakeStep, h.tryTicks = 1, 1
	if w.given = modelStart; setup.follows {
		h.follow.from.Store(modelStart)
	}
	w.h, w.s = h, h.shards[0]
	if setup.batches {
		cfg.openWriter = func() (BatchWriter, error) { return &LateWriter{}, nil }
		h.openWriters()
	}
	w.from = modelStart
	for range setup.old {
		w.publish(1)
		w.flow()
	}
	if !setup.resumes {
		w.from, w.lastSeq = h.latest().id, h.latest().pos
		for id, e := range w.events {
			e.mine = false
			w.events[id] = e
		}
	}
	w.connect(setup.resumes)
	w.take()
	return w
}

// connect decides where a client begins; again says that it comes with its last
// ID.
func (w *modelWorld) connect(again bool) {
	sub := Subscription{UID: "me", Topics: []string{"t"}, Form: w.form, Conflate: w.conflate, Patient: true, StallTimeout: -1}
	if again {
		sub.LastEventID = wire.FormatID(uint64(w.from))
		if w.unknown {
			sub.LastEventID = "9" + sub.LastEventID
		}
	}
	seat, err := w.h.Seat(context.Background(), sub)
	if err != nil {
		w.fail("seat: %v", err)
		return
	}
	w.seat, w.stand = seat, w.h.latest()
}

// take takes the seat.
func (w *modelWorld) take() bool {
	if w.seat == nil {
		return false
	}
	w.sink = &modelSink{w: w}
	s, err := w.seat.Take(w.sink)
	if err != nil {
		w.fail("take: %v", err)
	}
	w.seat, w.client = nil, s.c
	return true
}

// end stops what would keep the world in memory.
func (w *modelWorld) end() { w.s.patience.end() }

func (w *modelWorld) fail(format string, args ...any) {
	w.failed = append(w.failed, fmt.Sprintf(format, args...))
}

// modelKinds are the events pushed, in turn: for everyone, for the client, for
// its topic, for others, ephemeral.
var modelKinds = []string{"all", "me", "topic", "other", "fleeting", "all", "both", "othertopic"}

func modelKind(p position) string { return modelKinds[p%position(len(modelKinds))] }

// last is the position of the event published last.
func (w *modelWorld) last() position { return position(w.h.ring.Claimed()) }
