package engine

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spatehub/spate/wire"
)

// ConnectionID names a connection for the life of its hub. Those of an earlier life
// name, with all likelihood, nobody.
//
// It has a number of this life's own, the number of the connection in its shard, and
// the shard.
type ConnectionID uint64

const (
	shardBits  = 6 // of maxShards
	serialBits = 34
)

// String is the ID as it is shown and parsed: 16 hexadecimal digits.
func (id ConnectionID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// ParseConnectionID is the inverse of String.
func ParseConnectionID(text string) (ConnectionID, error) {
	n, err := strconv.ParseUint(text, 16, 64)
	if err != nil || len(text) != 16 || n == 0 {
		return 0, &wire.FieldError{Field: "id", Reason: "is no connection's: it has 16 hexadecimal digits"}
	}
	return ConnectionID(n), nil
}

// newLifeMark is what the connection IDs of one life have in common.
func newLifeMark() uint64 { return (rand.Uint64() | 1) << (serialBits + shardBits) }

func (c *client) connectionID() ConnectionID {
	h := c.shard.hub
	return ConnectionID(h.lifeMark | c.serial<<shardBits | uint64(c.shard.id))
}

// Connection is what a hub knows of one connection at a moment.
type Connection struct {
	ID     ConnectionID
	UID    string    // "": anonymous
	Since  time.Time // to a tick of the hub's clock, a quarter of a second at most
	State  string    // one of States
	Topics int       // topics and patterns followed
	Peer   Peer      // as Seat.UsePeer said it

	// LastID is the ID up to which it has got everything that is for it.
	LastID uint64

	// Waiting is how many events wait for it, and about how many bytes. One that is
	// behind reads the log, so that neither is all; what a patient one waits for together
	// with others does not count.
	WaitingEvents, WaitingBytes int
}

// User is who is online: has a connection.
type User struct {
	UID         string
	Connections int       // at most MaxCounted: beyond it counting stops
	Since       time.Time // of the oldest of these connections
}

// MaxCounted bounds how many connections of one user are looked at for a [User].
const MaxCounted = 10_000

// MaxListed bounds one page of a list of connections or users.
const MaxListed = 1000

// ConnectionFilter says which connections are meant: those that are as all its fields
// say which are not "".
type ConnectionFilter struct {
	UID     string
	Topic   string // that they follow, by its name or a pattern
	State   string // one of States
	Address string // of the peer, as it was told: see [Peer]
}

// States are those that a connection may be listed in.
func States() []string { return []string{"live", "lagging", "behind"} }

// shownState is one of States.
func (c *client) shownState() string {
	switch c.state {
	case stateBehind:
		return "behind"
	case stateLagging:
		return "lagging"
	default:
		return "live"
	}
}

// Check refuses what no connection can be as, by a *wire.FieldError for the state or the
// topic.
func (f *ConnectionFilter) Check() error {
	if f.State != "" && !slices.Contains(States(), f.State) {
		return &wire.FieldError{Field: "state", Reason: "must be one of " + strings.Join(States(), ", ")}
	}
	if f.Topic == "" {
		return nil
	}
	pattern, err := wire.ParsePattern(f.Topic)
	if err == nil && pattern.Wild() {
		err = &wire.FieldError{Field: "topic", Reason: "is a pattern: those are asked for who follow one topic"}
	}
	return err
}

// fits says whether a client is meant.
func (f *ConnectionFilter) fits(s *shard, c *client) bool {
	switch {
	case f.UID != "" && c.uid != f.UID,
		f.State != "" && c.shownState() != f.State,
		f.Address != "" && (c.peer == nil || c.peer.Address != f.Address):
		return false
	case f.Topic == "":
		return true
	}
	s.spend(c.followCost())
	return c.follows(f.Topic) >= 0
}

// Connections lists connections, at most limit of them (1 to MaxListed), from a
// cursor: "" at first, then next, until that is "". A page of few among many costs a look
// at each of the many, once, shared out over the shards' passes; of a user's own shard,
// where a user is named.
//
// Every connection that is there from the first page to the last is listed. One that
// comes or goes meanwhile may be listed or not, and another one twice.
// A connection that waits for its shard to come to its place is not listed yet, and
// one that has been told its end is not any more.
//
// Errors: ErrClosed, ctx's, a *wire.FieldError for the cursor or of which.Check.
func (h *Hub) Connections(ctx context.Context, which ConnectionFilter, cursor string, limit int) (list []Connection, next string, err error) {
	if err := which.Check(); err != nil {
		return nil, "", err
	}
	var found []Connection // not the result: where ctx ends, a shard may still be at it
	next, err = h.list(ctx, which.UID, cursor, limit, func(s *shard, c *client) bool {
		if !which.fits(s, c) {
			return false
		}
		found = append(found, s.describe(c))
		return true
	})
	if err != nil {
		return nil, "", err
	}
	return found, next, nil
}

// Users lists who is online, as Connections does. A user with several connections may
// be on more than one page.
func (h *Hub) Users(ctx context.Context, cursor string, limit int) (list []User, next string, err error) {
	var found []User // as in Connections
	seen := map[string]struct{}{}
	next, err = h.list(ctx, "", cursor, limit, func(s *shard, c *client) bool {
		if _, twice := seen[c.uid]; c.uid == "" || twice {
			return false
		}
		seen[c.uid] = struct{}{}
		found = append(found, s.user(c.uid))
		return true
	})
	if err != nil {
		return nil, "", err
	}
	return found, next, nil
}

// User returns what is known of one user; ok is false where it is not online.
func (h *Hub) User(ctx context.Context, uid string) (u User, ok bool, err error) {
	var found User
	err = h.errand(ctx, h.shards[h.shardOf(uid)], func(s *shard, _ int) progress {
		found = s.user(uid)
		return errandDone
	})
	if err != nil {
		return User{}, false, err
	}
	return found, found.Connections > 0, nil
}

// list walks over clients, from the last of a shard's list to its first. What is
// struck off is replaced by the last one, which has been passed already or is among
// those that are gone; what joins is added behind. So none that is there throughout
// is passed over, and the walk can be interrupted anywhere. uid, unless it is "", names
// the one shard that is walked over.
func (h *Hub) list(ctx context.Context, uid, cursor string, limit int, take func(*shard, *client) bool) (next string, err error) {
	at, pos, err := h.parseCursor(cursor)
	if err != nil {
		return "", err
	}
	first, last := at, len(h.shards)-1
	if uid != "" {
		last = h.shardOf(uid)
		at = max(at, last)
	}
	limit = min(max(limit, 1), MaxListed)
	taken := 0
	for ; at <= last; at++ {
		if at != first {
			pos = math.MaxInt
		}
		err := h.errand(ctx, h.shards[at], func(s *shard, end int) progress {
			for pos = min(pos, len(s.books.clients)); pos > 0 && taken < limit; {
				if s.cost >= end {
					return errandMore
				}
				pos--
				s.spend(lookCost)
				if take(s, s.books.clients[pos]) {
					taken++
				}
			}
			return errandDone
		})
		if err != nil {
			return "", err
		}
		if taken == limit {
			return cursorText(at, pos), nil
		}
	}
	return "", nil
}

func cursorText(shard, pos int) string { return strconv.Itoa(shard) + "-" + strconv.Itoa(pos) }

func (h *Hub) parseCursor(text string) (shard, pos int, err error) {
	if text == "" {
		return 0, math.MaxInt, nil
	}
	a, b, ok := strings.Cut(text, "-")
	n, err1 := strconv.ParseUint(a, 10, 31)
	m, err2 := strconv.ParseUint(b, 10, 31)
	if !ok || err1 != nil || err2 != nil || int(n) >= len(h.shards) {
		return 0, 0, &wire.FieldError{Field: "cursor", Reason: "is none that a page gave"}
	}
	return int(n), int(m), nil
}

// describe is what there is to say of an enrolled client.
func (s *shard) describe(c *client) Connection {
	d := Connection{ID: c.connectionID(), UID: c.uid, Since: s.timeOf(c.born), State: c.shownState(), Topics: len(c.topics)}
	switch c.state {
	case stateBehind:
		d.LastID = uint64(c.id)
	case stateLagging:
		d.LastID = uint64(s.idAt(c.pos))
	default:
		d.LastID = uint64(s.hub.told(s.idAt(s.standing(c))))
	}
	if c.peer != nil {
		d.Peer = *c.peer
	}
	if l := c.lag; l != nil {
		d.WaitingEvents, d.WaitingBytes = l.queue.events, l.queue.bytes
	}
	return d
}

// user is what there is to say of a user, who need not be there.
func (s *shard) user(uid string) User {
	u := User{UID: uid}
	oldest := s.tick
	for c := s.books.users.Get(uid); c != nil && u.Connections < MaxCounted; c = s.books.older(c) {
		u.Connections++
		s.spend(lookCost)
		if before32(c.born, oldest) {
			oldest = c.born
		}
	}
	u.Since = s.timeOf(oldest)
	return u
}

// timeOf is when a tick was, by the clock of now.
func (s *shard) timeOf(tick uint32) time.Time {
	return time.Now().Add(-time.Duration(s.tick-tick) * s.hub.period)
}
