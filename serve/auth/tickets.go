package auth

import (
	"container/list"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/spatehub/spate/serve/stream"
)

// Defaults of tickets.
const (
	defaultTicketTTL   = 30 * time.Second
	maxTicketTTL       = 10 * time.Minute
	defaultTickets     = 100_000
	defaultTicketsUser = 32
	defaultTicketQuery = "ticket"
	ticketLen          = 43 // of 32 bytes, in base64
)

// TicketsConfig sets up [NewTickets]; the zero value is good.
type TicketsConfig struct {
	TTL     time.Duration // how long a ticket is good if it is not used; 0: 30 s, 10 minutes at most
	Max     int           // tickets kept; 0: 100,000
	PerUser int           // of one user, or of one grant without user; 0: 32
	Query   string        // the query parameter; "" is "ticket"

	now func() time.Time
}

// Tickets are credentials for an EventSource, which can't send headers: a page
// asks for one with its real credentials (POST /tickets) and puts it into the URL
// of its stream. A ticket is good once and for a short time, so that what stands
// in a log is of no use to anybody. It allows what the credentials allowed.
//
// A browser that reconnects by itself sends the same URL and is answered 401,
// which ends its EventSource: the page has to ask for another ticket then.
//
// Tickets are kept in memory, in a bounded number. A Tickets may be used by many
// goroutines at once.
type Tickets struct {
	c  TicketsConfig
	mu struct {
		sync.Mutex
		grants map[ticketKey]*list.Element // of *ticket
		users  map[string]int              // tickets by owner
		queue  *list.List                  // in the order in which they end
	}
}

// ticketKey is the hash of a ticket: how long it takes to find one tells nothing.
type ticketKey [sha256.Size]byte

type ticket struct {
	key   ticketKey
	owner string
	grant stream.Grant
	until time.Time
}

// NewTickets returns a store of tickets, empty.
func NewTickets(c TicketsConfig) *Tickets {
	c.TTL = min(orDefault(c.TTL, defaultTicketTTL), maxTicketTTL)
	if c.Max <= 0 {
		c.Max = defaultTickets
	}
	if c.PerUser <= 0 {
		c.PerUser = defaultTicketsUser
	}
	if c.Query == "" {
		c.Query = defaultTicketQuery
	}
	if c.now == nil {
		c.now = time.Now
	}
	t := &Tickets{c: c}
	t.mu.grants = map[ticketKey]*list.Element{}
	t.mu.queue = list.New()
	t.mu.users = map[string]int{}
	return t
}

// Handler answers POST requests that authorize lets in with a ticket:
//
//	{"ticket":"…","expires_in":30}
//
// Where there are too many, the answer is 429 for the user's own and 503 for all.
// A ticket itself must not be good for another one: authorize is the authorizer of
// the real credentials alone.
func (t *Tickets) Handler(authorize stream.Authorizer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			stream.WriteError(w, &stream.Error{Status: http.StatusMethodNotAllowed, Message: "a ticket is asked for by POST"})
			return
		}
		g, err := authorize(r)
		if err != nil {
			stream.WriteError(w, stream.AuthorizerError(err))
			return
		}
		value, refusal := t.issue(g)
		if refusal != nil {
			stream.WriteError(w, refusal)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		_ = json.NewEncoder(w).Encode(map[string]any{"ticket": value, "expires_in": int(t.c.TTL / time.Second)}) // the peer may be gone
	})
}

// issue makes a ticket for the grant.
func (t *Tickets) issue(g stream.Grant) (string, *stream.Error) {
	var b [32]byte
	rand.Read(b[:])
	value := base64.RawURLEncoding.EncodeToString(b[:])
	now := t.c.now()
	made := &ticket{key: sha256.Sum256([]byte(value)), owner: ownerOf(&g), grant: g, until: now.Add(t.c.TTL)}

	t.mu.Lock()
	defer t.mu.Unlock()
	t.expireLocked(now)
	if t.mu.users[made.owner] >= t.c.PerUser {
		return "", &stream.Error{Status: http.StatusTooManyRequests, Message: "there are too many tickets of yours that were not used", RetryAfter: t.c.TTL}
	}
	if len(t.mu.grants) >= t.c.Max {
		return "", unavailable("there are too many tickets that were not used", t.c.TTL)
	}
	t.mu.grants[made.key] = t.mu.queue.PushBack(made)
	t.mu.users[made.owner]++
	return value, nil
}

// ownerOf is whom a grant's tickets count for.
func ownerOf(g *stream.Grant) string {
	if g.User != "" {
		return "u" + g.User
	}
	return "g" + g.ID
}

// Authorize is an authorizer: it takes the ticket of the request's query, which is
// good no more from then on.
func (t *Tickets) Authorize(r *http.Request) (stream.Grant, error) {
	value, err := queryValue(r, t.c.Query)
	if err != nil {
		return stream.Grant{}, err
	}
	if value == "" {
		return stream.Grant{}, errNone
	}
	if len(value) != ticketLen {
		return stream.Grant{}, errNoGood
	}
	key := ticketKey(sha256.Sum256([]byte(value)))
	now := t.c.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expireLocked(now)
	el := t.mu.grants[key]
	if el == nil {
		return stream.Grant{}, noLonger("the ticket is not valid: it was used, has expired, or never was")
	}
	found := t.forgetLocked(el)
	if found.grant.ExpiredAt(now) {
		return stream.Grant{}, noLonger("what the ticket was given for has expired")
	}
	return found.grant, nil
}

// Revoke makes tickets invalid whose grant revoked reports true for.
func (t *Tickets) Revoke(revoked func(*stream.Grant) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, el := range t.mu.grants {
		if revoked(&el.Value.(*ticket).grant) {
			t.forgetLocked(el)
		}
	}
}

func (t *Tickets) forgetLocked(el *list.Element) *ticket {
	k := t.mu.queue.Remove(el).(*ticket)
	delete(t.mu.grants, k.key)
	if t.mu.users[k.owner]--; t.mu.users[k.owner] == 0 {
		delete(t.mu.users, k.owner)
	}
	return k
}

// expireLocked forgets the tickets whose time is over: those in front, as all have
// the same time.
func (t *Tickets) expireLocked(now time.Time) {
	for el := t.mu.queue.Front(); el != nil && !now.Before(el.Value.(*ticket).until); el = t.mu.queue.Front() {
		t.forgetLocked(el)
	}
}
