package engine

import (
	"math"
	"runtime"
	"sync"

	"github.com/panjf2000/ants/v2"
	"github.com/spatehub/spate/persist"
)

// catchup reads the log for clients that are behind, with a budget of its own:
// a few readings at a time, each of one page, in the order of fairQueue.
//
// A reading cannot be interrupted, and one for very many topics takes a hundred
// times as long as another. So requests go in two lanes: the dear ones leave room
// beside them for the cheap.
type catchup struct {
	hub     *Hub
	pool    *ants.Pool
	querier persist.Querier // nil: the log has no index
	max     int             // readings at a time; one more where dear ones would take all
	cache   pageCache

	mu struct {
		sync.Mutex
		lanes  [lanes]lane
		run    int // cheap readings since the last dear one
		closed bool
	}
}

// lane holds the requests of one kind.
type lane struct {
	queue  fairQueue
	active int // readings under way
	open   int // segments read, or being read, that a shard has not looked at yet
}

const (
	cheap = iota
	dear
	lanes // their number
)

const (
	// maxOpen bounds the segments that wait for their shards: however many clients
	// resume, the pages in memory are these and the cache's. Dear ones may take
	// half of it.
	maxOpen = 64
	// dearTopics is from how many topics on a reading is dear. One for a pattern
	// may have to look at much that it does not want.
	dearTopics = 64
	// cheapRun is how many cheap readings go before a dear one that waits.
	cheapRun = 4
)

// newCatchup returns one that reads nothing until it begins.
func newCatchup(h *Hub) *catchup {
	c := &catchup{hub: h}
	c.querier, _ = h.log.(persist.Querier)
	return c
}

// begin lets so many readers work. Before anybody asks.
func (c *catchup) begin(pool *ants.Pool, readers int) { c.pool, c.max = pool, readers }

// lane is the one of the client's next request.
func (c *client) lane() uint8 {
	if len(c.topics) >= dearTopics || c.wild > 0 {
		return dear
	}
	return cheap
}

// cost is what a reading for the client is expected to take: each topic is a look
// into the index, each pattern many.
func (c *client) cost() uint64 { return 8 + uint64(len(c.topics)) + wildCost*uint64(c.wild) }

const wildCost = 64

// cost is what a reading took beside that: each record is copied.
func (seg *segment) cost() uint64 {
	n := 0
	if seg.public != nil {
		n += len(seg.public.records)
	}
	if seg.private != nil {
		n += len(seg.private.records)
	}
	return uint64(n / 16)
}

// ask queues a client's next reading. The reader answers with attendPage.
func (c *catchup) ask(h *history) {
	c.mu.Lock()
	h.c.reads = h.c.lane()
	c.mu.lanes[h.c.reads].queue.push(h, h.c.cost())
	c.start()
}

// answered says that a shard has seen a segment for the client; another one may
// be read. A shard calls it once for each attendPage.
func (c *catchup) answered(cl *client) {
	c.mu.Lock()
	c.mu.lanes[cl.reads].open--
	c.start()
}

// start has as many readers at work as there is work for. It is called with the
// lock held and releases it.
func (c *catchup) start() {
	for {
		h := c.take()
		c.mu.Unlock()
		if h == nil {
			return
		}
		if c.pool.Submit(func() { c.reader(h) }) != nil {
			c.mu.Lock()
			l := &c.mu.lanes[h.c.reads]
			l.active--
			l.open--
			c.mu.Unlock()
			return // the pool is released: the hub has closed
		}
		c.mu.Lock()
	}
}

// take returns the request to be served next, which then counts as under way; nil
// where there is none, or no room. The lock is held.
func (c *catchup) take() *history {
	first := cheap
	if c.mu.run >= cheapRun {
		first = dear
	}
	for _, kind := range [...]int{first, lanes - 1 - first} {
		l := &c.mu.lanes[kind]
		if l.queue.size == 0 || !c.room(kind) {
			continue
		}
		if kind == dear {
			c.mu.run = 0
		} else {
			c.mu.run++
		}
		l.active++
		l.open++
		return l.queue.pop()
	}
	return nil
}

// room says whether one more reading of the kind may begin.
func (c *catchup) room(kind int) bool {
	cheaps, dears := &c.mu.lanes[cheap], &c.mu.lanes[dear]
	busy := cheaps.active + dears.active
	switch {
	case c.mu.closed || cheaps.open+dears.open >= maxOpen:
		return false
	case kind == dear:
		return busy < c.max && dears.active < max(1, c.max-1) && dears.open < maxOpen/2
	}
	return busy < c.max || cheaps.active == 0 && c.max > 0
}

// reader serves the request, then others until there is none, or too many answers
// wait.
func (c *catchup) reader(h *history) {
	for h != nil {
		kind, cost, seen := h.c.reads, uint64(0), true // its own until the shard has the answer
		if h.c.flags.Load()&attendClosed == 0 {
			h.found = c.segment(h)
			runtime.Gosched() // a page is long for those who bring live events and wait for a processor
			h.result = &h.found
			cost = h.result.cost()
			seen = !h.c.attend(attendPage) // publishes result to the shard
		}
		c.mu.Lock()
		l := &c.mu.lanes[kind]
		l.queue.charge(h, cost) // also where it has asked again meanwhile
		l.active--
		if seen { // nobody will look at it
			l.open--
		}
		h = c.take()
		if h != nil {
			c.mu.Unlock()
			continue
		}
		c.start() // what the one that ended gave room for
	}
}

// close lets the readers end. What is queued is not answered any more.
func (c *catchup) close() {
	c.mu.Lock()
	c.mu.closed = true
	c.mu.Unlock()
}

// segment reads what follows the client's position. Of the client it uses only
// what never changes.
func (c *catchup) segment(h *history) segment {
	log := c.hub.log
	committed := c.hub.committed() // before Last: all of it is in the log by now
	last := eventID(log.Last())
	sought := h.seeks()
	seg := segment{floor: eventID(log.Floor(sought.topics))}
	after := h.after
	after = max(after, seg.floor)
	limit := pageLimit
	if !h.started {
		h.started, limit = true, firstLimit
	}
	limit.Bytes = c.hub.catchUpBytes(limit.Bytes)

	var err error
	if c.querier == nil {
		seg.mixed = true
		seg.public, err = c.shared(h.c.form.framing(), "", after, func() (persist.Page, error) {
			return log.Read(c.hub.ctx, uint64(after), limit)
		})
	} else {
		seg.public, seg.private, err = c.query(h, sought, after, limit)
	}
	if err != nil {
		return segment{err: err}
	}
	if floor := eventID(log.Floor(sought.topics)); floor > after {
		// Retention was at work between the first look and the reading, which
		// may have missed what it removed.
		seg.floor = floor
	}
	seg.upTo = seg.public.upTo
	if seg.private != nil {
		seg.upTo = min(seg.upTo, seg.private.upTo)
	}
	if seg.upTo >= last && seg.upTo < committed {
		seg.upTo = committed // what follows the last record was not for the log
	}
	seg.upTo = max(seg.upTo, seg.floor)
	return seg
}

var (
	pageLimit = persist.Limit{Records: pageRecords, Bytes: pageBytes}
	// The first page is small, so that the first byte comes soon: where events
	// are sparse in the log, each record is a seek.
	firstLimit = persist.Limit{Records: pageRecords / 16, Bytes: pageBytes / 16}
	// A private page is nobody else's, so it is smaller.
	privateLimit = persist.Limit{Records: pageRecords / 4, Bytes: pageBytes / 4}
)

// query reads the public part, shared among all that follow the same topics,
// and the user's own.
func (c *catchup) query(h *history, sought sought, after eventID, limit persist.Limit) (public, private *page, err error) {
	if q, some := h.c.publicQuery(sought.topics); some {
		public, err = c.shared(h.c.form, sought.kind, after, func() (persist.Page, error) {
			return c.querier.Query(c.hub.ctx, q, uint64(after), limit)
		})
	} else {
		public = newPage(after, persist.Page{UpTo: math.MaxUint64}, h.c.form.framing(), nil) // the user's own are all
	}
	if err != nil || h.c.uid == "" {
		return public, nil, err
	}
	if h.private == nil || !h.private.covers(after) {
		limit := privateLimit
		limit.Bytes = c.hub.catchUpBytes(limit.Bytes)
		p, err := c.querier.Query(c.hub.ctx, persist.Query{User: h.c.uid}, uint64(after), limit)
		if err != nil {
			return nil, nil, err
		}
		whom := c.hub.audiences(p.Records)
		h.private = newPage(after, slim(p, h.c.uid), h.c.form.framing(), whom)
	}
	return public, h.private, nil
}

// shared returns the page that follows after in the form, from the cache or by
// reading.
func (c *catchup) shared(f Form, kind string, after eventID, read func() (persist.Page, error)) (*page, error) {
	if p := c.cache.find(kind, after); p != nil {
		if c.makeIn(p, f) {
			c.cache.grown(p)
		}
		return p, nil
	}
	p, err := read()
	if err != nil {
		return nil, err
	}
	pg := newPage(after, p, f.framing(), c.hub.audiences(p.Records))
	c.makeIn(pg, f)
	c.cache.add(kind, pg)
	return pg, nil
}

// makeIn makes a page in the form. It returns whether it was not made already.
func (c *catchup) makeIn(p *page, f Form) bool {
	if f.coded() {
		return p.code(c.hub, f.encoding())
	}
	if p.in(f) != nil {
		return false
	}
	p.make(f)
	return true
}

// topicNames returns the client's topics, sorted. They are fixed at Subscribe.
func (c *client) topicNames() []string {
	names := make([]string, len(c.topics))
	for i := range c.topics {
		names[i] = c.topics[i].pattern.String()
	}
	return names
}
