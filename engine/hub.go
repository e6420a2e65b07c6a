package engine

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/ants/v2"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/ringbuf"
)

// Hub takes events from publishers and brings them to connections. All its
// methods may be called from any goroutine at any time.
//
// Publishing and fan-out take no lock: an event goes from the ring to every
// shard, and each shard owns its connections.
type Hub struct {
	cfg      *config
	ctx      context.Context // ends with the hub: readings of the log
	cancel   context.CancelFunc
	ring     *ringbuf.Ring[entry]
	origin   point   // where the hub began: of no event, but a seat may tell it
	began    eventID // the log's last ID then, 0 without one
	pace     pace
	follow   *follower // nil: this hub gives IDs
	looks    looks
	frames   framePool
	shards   []*shard
	all      uint64 // every shard's bit
	seed     maphash.Seed
	log      persist.Log // nil: no log
	journal  *journal    // nil: no log
	catchup  *catchup
	linger   *linger   // nil: events do not wait for others
	waits    sync.Pool // of *commitWait, reused between pushes that saw their verdict
	sched    *scheduler
	kernel   *ants.Pool // runs shards and catch-up readers
	workers  *ants.Pool // runs callbacks
	notices  *notices
	wakeStep position // events after which every shard is woken, concerned or not

	period    time.Duration // of a tick
	beatTicks uint32        // 0: no heartbeats
	tryTicks  uint32

	life life
	work sync.WaitGroup // all that runs by itself

	// occupied has the bits of the shards with connections, the only ones that
	// an event for everybody has to wake. A shard sets its bit before it looks at
	// the ring, a publisher loads it after the event is there: so either the
	// shard sees the event, or the publisher the bit.
	occupied atomic.Uint64

	dismissal atomic.Pointer[dismissal] // the last one; nil: none
	lifeMark  uint64                    // of the connections' IDs
	ageTicks  uint32                    // 0: connections may grow as old as they like
	shut      atomic.Bool               // no new connections are taken
	presence  *presence                 // nil: nobody is told who comes and goes
	turns     turns                     // of those who read pages of history
	born      time.Time                 // of which instants count
	commits   commits
	measured  measured // what belongs to no shard

	topicFigures *topicFigures // nil: not asked for
	joining      joining

	logFailed   atomic.Uint64
	catchUpRate atomic.Int64  // bytes a second and connection; 0: no bound
	turn        atomic.Uint64 // spreads anonymous connections
}

// NewHub starts a hub. It must be closed. A setting out of range is corrected
// and said in the log.
func NewHub(opts ...HubOption) *Hub {
	cfg := newConfig(opts)
	log := logOf(cfg)
	now := time.Now()
	before := firstID(log, now) - 1
	if cfg.assign != nil {
		before = lastID(log) // IDs are not ours to begin
	}
	h := buildHub(cfg, log, before)
	h.pace.begin(now)
	h.start()
	return h
}

// buildHub makes a hub whose first ID follows before: all there is of it, with
// nothing that runs by itself.
func buildHub(cfg *config, log persist.Log, before eventID) *Hub {
	h := &Hub{
		cfg: cfg, seed: maphash.MakeSeed(), log: log, origin: point{id: before},
		life: newLife(), period: tickPeriod(cfg), looks: make(looks, 2*processors()), wakeStep: position(max(1, cfg.buffer/8)),
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.waits.New = func() any { return newCommitWait() }
	h.tryTicks = h.ticksOf(cfg.timeout / time.Duration(cfg.tries))
	if cfg.heartbeat > 0 {
		h.beatTicks = h.ticksOf(cfg.heartbeat)
	}
	if cfg.age > 0 {
		h.ageTicks = h.ticksOf(cfg.age)
	}
	h.lifeMark = newLifeMark()
	h.turns.begin(processors(), h.life.stop)
	h.SetCatchUpRate(cfg.catchUpRate)
	if cfg.presence != "" {
		h.presence = newPresence(h, cfg.presence)
	}
	h.began = lastID(log)
	if cfg.assign != nil {
		h.follow = newFollower(cfg, h.origin)
	}
	h.pace.first = before + 1
	h.pace.due.Store(uint64(before))
	released := int64(0) // bytes, of a run of releases; by whoever reclaims
	h.ring = ringbuf.NewRing(cfg.buffer, uint64(h.origin.pos), func(_ uint64, e *entry) {
		released += e.held()
		e.release(&h.frames)
	}, ringbuf.WithNumber(uint64(h.origin.id)), ringbuf.WithAfterRelease(func() {
		h.frames.held.Add(-released)
		released = 0
	}))
	h.notices = newNotices(h)
	if log != nil {
		h.journal = newJournal(h, log)
	}
	h.makeShards()
	h.sched = newScheduler(len(h.shards))
	h.catchup = newCatchup(h)
	h.linger = newLinger(h)
	return h
}

// start lets the hub run.
func (h *Hub) start() {
	h.openWriters()
	h.workers = newPool(h.cfg.logger)
	h.startShards(min(h.cfg.shards, 2*processors()))
	h.catchup.begin(h.kernel, max(1, processors()/2))
	h.work.Add(1)
	go h.runClock()
	if h.journal != nil {
		if h.follow == nil {
			if err := h.journal.beginRun(h.origin.id + 1); err != nil {
				h.journal.note(err) // tried again with the first batch
			}
		}
		h.journal.start()
	}
	if src := h.cfg.source; src != nil {
		h.work.Add(1)
		go func() {
			defer h.work.Done()
			src.Feed(h.ctx, h)
		}()
	}
	if h.presence != nil {
		h.work.Add(1)
		go h.presence.run()
	}
	if done := h.cfg.ctx.Done(); done != nil {
		h.work.Add(1)
		go func() {
			defer h.work.Done()
			select {
			case <-done:
				go h.Close()
			case <-h.life.stop:
			}
		}()
	}
}

// startShards lets so many shards run at a time.
func (h *Hub) startShards(runners int) {
	h.kernel = newPool(h.cfg.logger)
	h.sched.begin(h.kernel, runners)
}

// makeShards adds the shards' readers to the ring: behind the journal, or, with
// immediate delivery, beside it.
func (h *Hub) makeShards() {
	var after []*ringbuf.Reader[entry]
	if h.journal != nil && !h.cfg.immediate {
		after = append(after, h.journal.done)
	}
	h.topicFigures = newTopicFigures(h.cfg.topicFigures, h.seed)
	h.born, h.commits = time.Now(), make(commits, h.ring.Cap())
	for id := range h.cfg.shards {
		r := h.ring.NewReader(after...)
		r.SetWindow(h.cfg.window)
		s := newShard(h, id, r)
		h.shards = append(h.shards, s)
		h.all |= s.bit
	}
}

// logOf returns the log to use, nil if there is none.
func logOf(c *config) persist.Log {
	if c.log == nil && c.store != nil {
		c.log = persist.FromStore(c.store)
	}
	return c.log
}

// newPool returns a pool without a bound of its own: what is submitted to it is
// bounded by a limiter. The pool counts a worker until it is back in its list,
// a moment after the limiter has counted it out; a bound would refuse its
// successor in that moment, and what was to be done would be left lying.
func newPool(logger *slog.Logger) *ants.Pool {
	p, err := ants.NewPool(-1, ants.WithLogger(antsLogger{logger}),
		ants.WithPanicHandler(func(p any) { panic(p) })) // a bug of ours or of a Sink: not to be hidden
	if err != nil {
		panic("engine: pool: " + err.Error()) // only for options that contradict each other
	}
	return p
}

type antsLogger struct{ l *slog.Logger }

func (a antsLogger) Printf(format string, args ...any) {
	a.l.Error("spate: worker pool: " + fmt.Sprintf(format, args...))
}

// shardOf returns the shard of a user's connections.
func (h *Hub) shardOf(uid string) int {
	if len(h.shards) == 1 {
		return 0
	}
	return int(maphash.String(h.seed, uid) % uint64(len(h.shards)))
}

// wakeFor has the shards that the events from..to concern deliver them, now or once
// they have lingered; mask is h.all where one is for everybody.
func (h *Hub) wakeFor(from, to position, mask uint64, urgent bool) {
	if h.linger != nil {
		var now bool
		if mask, now = h.linger.pass(from, to, mask, urgent); !now {
			return
		}
	}
	h.wakeNow(from, to, mask)
}

// wakeNow wakes the shards that the events from..to concern. Now and then it wakes all,
// so that a shard without receivers does not hold up the ring; it tells of them no later
// than the clock.
func (h *Hub) wakeNow(from, to position, mask uint64) {
	if mask == h.all {
		mask = h.occupied.Load()
	}
	if from/h.wakeStep != (to+1)/h.wakeStep {
		mask = h.all
	}
	h.wakeMask(mask)
}

// OnlineClientsNum returns the number of connections.
func (h *Hub) OnlineClientsNum() int { return int(h.life.online.Load()) }

// LastID returns the ID of the event pushed last, or where the hub began.
func (h *Hub) LastID() uint64 { return uint64(h.latest().id) }

// latest returns the position and the ID of what was claimed last.
func (h *Hub) latest() point {
	if h.follow != nil {
		return h.follow.latest()
	}
	pos, id := h.ring.Last()
	return point{position(pos), eventID(id)}
}

// committed is the ID up to which everything is in the log.
func (h *Hub) committed() eventID { return eventID(h.journal.doneID.Load()) }

// Healthy returns nil, or why the hub cannot do its work: it is closed, or its
// log does not take events. A log that tells of itself is believed; of another
// one, the latest batch counts.
func (h *Hub) Healthy() error {
	if h.life.refuses() {
		return ErrClosed
	}
	if st, tells := h.LogStats(); tells {
		if st.Err != nil {
			return fmt.Errorf("%w: %w", ErrLog, st.Err)
		}
		return nil
	}
	if h.journal != nil {
		if err := h.journal.failure.Load(); err != nil {
			return fmt.Errorf("%w: %w", ErrLog, *err)
		}
	}
	return nil
}

// Ready returns nil, or why the hub is not to be sent new connections and pushes: it
// is not Healthy, or, where it follows a Source, behind it.
func (h *Hub) Ready() error {
	if err := h.Healthy(); err != nil || h.cfg.source == nil {
		return err
	}
	return h.cfg.source.Ready()
}

// Closed says whether Close or Shutdown has begun.
func (h *Hub) Closed() bool { return h.life.refuses() }

// StallTimeout returns after how long a connection that accepts no byte is
// closed; 0 is never.
func (h *Hub) StallTimeout() time.Duration { return max(0, h.cfg.stall) }

// DrainTimeout returns how long Close waits for queues to flush.
func (h *Hub) DrainTimeout() time.Duration { return h.cfg.drain }

// LogStats is what a log tells of itself; see persist.LogStats. The alias spares
// transports the import.
type LogStats = persist.LogStats

// LogStats returns the state of the hub's log: first and last ID, records,
// bytes on disk, retention in force. ok is false where there is no log, or it
// does not tell. It may read the disk: not for the fast path.
func (h *Hub) LogStats() (st LogStats, ok bool) {
	if l, tells := h.log.(persist.Stats); tells {
		return l.LogStats(), true
	}
	return st, false
}

// Kept is what a log keeps of a topic; see persist.Kept.
type Kept = persist.Kept

// Kept tells what the hub's log keeps of each of these topics, which are no patterns,
// in their order. ok is false where there is no log, or it does not tell. The work is
// bounded for a call; it reads the disk. Errors: ctx's, and the log's.
func (h *Hub) Kept(ctx context.Context, topics []string) (kept []Kept, ok bool, err error) {
	l, ok := h.log.(persist.Counted)
	if !ok {
		return nil, false, nil
	}
	kept, err = l.Kept(ctx, topics)
	return kept, true, err
}

// KeptTopics returns topics of which the hub's log keeps events, limit of them at most,
// those of newer events first, but for events that are near to each other, whose topics
// come by name; there may be others where more is set. It returns none where there is no
// log, or it does not tell. The work is bounded for a call; it reads the disk. Errors:
// ctx's, and the log's.
func (h *Hub) KeptTopics(ctx context.Context, limit int) (topics []string, more bool, err error) {
	if l, tells := h.log.(persist.Listed); tells {
		return l.Topics(ctx, limit)
	}
	return nil, false, nil
}

// PrintPushStats writes the counters to the hub's logger.
func (h *Hub) PrintPushStats() {
	st := h.Stats()
	h.cfg.logger.Info("spate: push stats", "events", st.Events, "pushed", st.Pushed,
		"delivered", st.Delivered, "dropped", st.Dropped, "timed_out", st.TimedOut,
		"failed", st.Failed, "conflated", st.Conflated, "no_receiver", st.NoReceiver,
		"pending", st.Pending, "resent", st.Resent, "gaps", st.Gaps, "clients", st.Clients, "ends", st.Ends)
}
