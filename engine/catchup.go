package engine

import (
	"math"
	"strings"
	"sync"

	"github.com/panjf2000/ants/v2"
	"github.com/spatehub/spate/persist"
)

// catchup reads the log for clients that are behind, with a budget of its own:
// at most max readings at a time, each of one page, in the order of asking.
type catchup struct {
	hub     *Hub
	pool    *ants.Pool
	querier persist.Querier // nil: the log has no index
	max     int
	read    func() // c.reader, made once
	cache   pageCache

	mu struct {
		sync.Mutex
		queue  []*history
		active int
		open   int // segments read that a shard has not looked at yet
		closed bool
	}
}

// maxOpen bounds the segments that wait for their shards: however many clients
// resume, the pages in memory are these and the cache's.
const maxOpen = 64

func newCatchup(h *Hub, pool *ants.Pool, readers int) *catchup {
	c := &catchup{hub: h, pool: pool, max: readers}
	c.querier, _ = h.log.(persist.Querier)
	c.read = c.reader
	return c
}

// ask queues a client's next reading. The reader answers with attendPage.
func (c *catchup) ask(h *history) {
	c.mu.Lock()
	c.mu.queue = append(c.mu.queue, h)
	c.start()
}

// answered says that a shard has seen a segment; another one may be read. A
// shard calls it once for each attendPage.
func (c *catchup) answered() {
	c.mu.Lock()
	c.mu.open--
	c.start()
}

// start submits a reader where there is work for one more. It is called with
// the lock held and releases it.
func (c *catchup) start() {
	start := len(c.mu.queue) > 0 && c.mu.active < c.max && c.mu.open < maxOpen && !c.mu.closed
	if start {
		c.mu.active++
	}
	c.mu.Unlock()
	if start && c.pool.Submit(c.read) != nil {
		c.mu.Lock()
		c.mu.active--
		c.mu.Unlock()
	}
}

// reader serves requests until there is none, or too many answers wait.
func (c *catchup) reader() {
	for {
		c.mu.Lock()
		if len(c.mu.queue) == 0 || c.mu.open >= maxOpen || c.mu.closed {
			c.mu.active--
			if len(c.mu.queue) == 0 {
				c.mu.queue = nil // it may have been long
			}
			c.mu.Unlock()
			return
		}
		h := c.mu.queue[0]
		c.mu.queue[0] = nil
		c.mu.queue = c.mu.queue[1:]
		c.mu.open++
		c.mu.Unlock()

		if h.c.flags.Load()&attendClosed == 0 {
			h.result = c.segment(h)
			if h.c.attend(attendPage) { // publishes result to the shard
				continue
			}
		}
		c.answered() // nobody will look at it
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
func (c *catchup) segment(h *history) *segment {
	log := c.hub.log
	committed := c.hub.committed() // before Last: all of it is in the log by now
	last := eventID(log.Last())
	topics := h.c.topicNames()
	seg := &segment{floor: eventID(log.Floor(topics))}
	after := h.after
	after = max(after, seg.floor)
	limit := pageLimit
	if !h.started {
		h.started, limit = true, firstLimit
	}

	var err error
	if c.querier == nil {
		seg.mixed = true
		seg.public, err = c.shared(h.c.form, "", after, func() (persist.Page, error) {
			return log.Read(c.hub.ctx, uint64(after), limit)
		})
	} else {
		seg.public, seg.private, err = c.query(h, topics, after, limit)
	}
	if err != nil {
		return &segment{err: err}
	}
	if floor := eventID(log.Floor(topics)); floor > after {
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
func (c *catchup) query(h *history, topics []string, after eventID, limit persist.Limit) (public, private *page, err error) {
	if q, some := h.c.publicQuery(topics); some {
		kind := "\x00"
		if !q.Public {
			kind = "\x01"
		}
		public, err = c.shared(h.c.form, kind+strings.Join(topics, "\x00"), after, func() (persist.Page, error) {
			return c.querier.Query(c.hub.ctx, q, uint64(after), limit)
		})
	} else {
		public = newPage(after, persist.Page{UpTo: math.MaxUint64}, h.c.form) // the user's own are all
	}
	if err != nil || h.c.uid == "" {
		return public, nil, err
	}
	if h.private == nil || !h.private.covers(after) {
		p, err := c.querier.Query(c.hub.ctx, persist.Query{User: h.c.uid}, uint64(after), privateLimit)
		if err != nil {
			return nil, nil, err
		}
		h.private = newPage(after, p, h.c.form)
	}
	return public, h.private, nil
}

// shared returns the page that follows after in the form, from the cache or by
// reading.
func (c *catchup) shared(f Form, kind string, after eventID, read func() (persist.Page, error)) (*page, error) {
	if p := c.cache.find(kind, after); p != nil {
		if p.in(f) == nil {
			p.make(f)
			c.cache.grown(p)
		}
		return p, nil
	}
	p, err := read()
	if err != nil {
		return nil, err
	}
	pg := newPage(after, p, f)
	c.cache.add(kind, pg)
	return pg, nil
}

// topicNames returns the client's topics, sorted. They are fixed at Subscribe.
func (c *client) topicNames() []string {
	names := make([]string, len(c.topics))
	for i := range c.topics {
		names[i] = c.topics[i].topic.name
	}
	return names
}
