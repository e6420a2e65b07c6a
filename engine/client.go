package engine

import (
	"hash/maphash"
	"slices"
	"sort"
	"strings"
	"sync/atomic"

	"github.com/spatehub/spate/engine/internal/topics"
	"github.com/spatehub/spate/ringbuf"
	"github.com/spatehub/spate/wire"
)

// clientState says where a connection takes its events from.
type clientState uint8

const (
	stateNew     clientState = iota // not yet placed by its shard
	stateLive                       // everything up to the shard's position is sent
	statePatient                    // the same, but for what waits for those that are patient
	stateLagging                    // at pos, inside the ring's window
	stateBehind                     // at pos, before the window: reads the log
	stateLeaving                    // told why it ends, receives no event any more
	stateClosed                     // sink closed; no more calls
)

// states is a set of them, by bit.
type states uint8

// has says whether the client's state is in it.
func (s states) has(c *client) bool { return s>>c.state&1 != 0 }

// What a client's flags ask its shard to look at.
const (
	attendJoin uint32 = 1 << iota
	attendWritable
	attendHangup
	attendPage
	attendMore
	attendExpire
	attendRevoke
	attendClosed // set for good once closed, so that nothing is queued again
)

// client is one connection. Everything but flags and hangupErr belongs to the
// owning shard alone. A million of them must fit: what only a connection in
// trouble needs is in lag, which a healthy one does not have.
//
// Its queue is no list of its own: it is the part of the ring's window after
// pos that matches the subscription, plus the lag's rest.
type client struct {
	// First what every delivery looks at, so that it lies together.

	sink      Sink
	bits      uint64 // the events of the batch under way that are for this client
	wroteTick uint32 // tick of the last byte taken
	state     clientState
	policy    Policy
	doomed    bool // its end waits its turn; nothing is written meanwhile
	conflate  bool
	only      bool  // wants nothing that is for everybody
	reads     uint8 // the lane of its request for history; under catchup's lock
	placed    bool  // knows an ID to resume after: its own, or an event's
	revoked   bool  // the shard knows that its rights are taken back, and is about to end it

	// flags collects what the shard shall look at. Whoever turns it from 0 puts
	// node into the mailbox; the shard takes all bits with one Swap.
	flags atomic.Uint32

	index    int32 // in books.clients
	kin      kin
	born     uint32 // tick at which it was enrolled
	stallFor uint32 // ticks without a byte taken after which it is closed; 0: never
	form     Form
	patient  bool // its events may wait for others
	hasty    bool // it is in patience.hasty
	node     ringbuf.Node[*client]
	shard    *shard
	serial   uint64 // among those that its shard has enrolled; 0: not yet
	uid      string
	source   uint64     // whom it shares its turns at the log with: a hash of Subscription.Source
	topics   []topicRef // sorted: exact topics, then wild patterns
	wild     int32      // of topics: patterns with wildcards
	epoch    uint32     // of the last dismissal when it was decided where it begins
	lag      *lag
	peer     *Peer // nil: not known

	// pos: every event ≤ pos is sent, or accounted otherwise. Of no meaning
	// while live, when the shard's own position holds. While behind, it is the
	// position that the client had in the window before, and id counts.
	pos position

	// id, while new or behind: every event with an ID ≤ id is sent, or accounted
	// otherwise.
	id eventID

	// hangupErr is set at most once by the transport before it raises
	// attendHangup, whose swap publishes it to the shard.
	hangupErr atomic.Pointer[error]
}

// kin are the connections of the same user in the shard that came before and after: 1 +
// their index in books.clients, 0 where there is none.
type kin struct{ older, newer int32 }

// topicRef is a topic or pattern that a client follows, and its place among those
// who do.
type topicRef struct {
	topics.Ref[*client]
	pattern wire.Pattern
}

// TopicRef implements topics.Member.
func (c *client) TopicRef(slot int32) *topics.Ref[*client] { return &c.topics[slot].Ref }

// Name implements names.Named.
func (c *client) Name() string { return c.uid }

// attend asks the owning shard to look at the client. Any goroutine. It returns
// false where the client is closed: then the shard will not look for that flag.
func (c *client) attend(flag uint32) bool {
	for {
		old := c.flags.Load()
		if old&attendClosed != 0 {
			return false
		}
		if !c.flags.CompareAndSwap(old, old|flag) {
			continue
		}
		if old == 0 {
			c.shard.mail.Put(&c.node)
		}
		c.shard.wake()
		return true
	}
}

// barred says that the client's rights have been taken back. Whoever pushes an
// event after Revoke has returned pushes it after this is true.
func (c *client) barred() bool { return c.revoked || c.flags.Load()&attendRevoke != 0 }

// enrolled says whether the client is in its shard's books.
func (c *client) enrolled() bool { return c.state > stateNew && c.state < stateLeaving }

// fairUser tells the users of a source apart.
func (c *client) fairUser() uint64 { return maphash.String(c.shard.hub.seed, c.uid) }

// follow has a new client follow the patterns, which it sorts. Their texts are parts of
// one, until the books have them share those of others.
func (c *client) follow(patterns []wire.Pattern) {
	slices.SortFunc(patterns, func(a, b wire.Pattern) int {
		if a.Wild() != b.Wild() {
			if b.Wild() {
				return -1
			}
			return 1
		}
		return strings.Compare(a.String(), b.String())
	})
	patterns = slices.Compact(patterns)
	c.topics = make([]topicRef, len(patterns))
	for i, p := range patterns {
		c.topics[i].pattern = p
		if p.Wild() {
			c.wild++
		}
	}
}

// Follows implements audience.Topics.
func (c *client) Follows(name string) bool { return c.follows(name) >= 0 }

// follows returns the place, among the client's topics, of the first that has the
// topic; -1: none has.
func (c *client) follows(name string) int {
	exact := c.topics[:len(c.topics)-int(c.wild)]
	i := sort.Search(len(exact), func(i int) bool { return exact[i].pattern.String() >= name })
	if i < len(exact) && exact[i].pattern.String() == name {
		return i
	}
	for i := len(exact); i < len(c.topics); i++ {
		if c.topics[i].pattern.Match(name) {
			return i
		}
	}
	return -1
}

// followCost is what a look at whether it follows a topic costs: its patterns are looked
// through.
func (c *client) followCost() int { return lookCost * (1 + int(c.wild)) }
