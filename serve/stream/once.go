package stream

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/engine"
)

// onceHeader names a push, so that it can be tried again.
const onceHeader = "Idempotency-Key"

// replayedHeader says that the answer is one that was given before.
const replayedHeader = "Idempotency-Replayed"

// maxOnceKey bounds a key in bytes.
const maxOnceKey = 256

// Bounds of the pushes that are under way. Nothing but the hub ends these, so that
// while a log hangs they would be as many as anybody likes to send.
const (
	maxFlights     = 1024
	maxFlightBytes = 64 << 20 // of bodies; a single one may be larger
)

// Once has pushes with an Idempotency-Key published once: a request with a key of the
// same owner that is known gets the IDs that the first one got, for a window of time.
// The owner is the grant's user; where it has none, the grant's ID, so that a token
// that takes the place of another one has keys of its own; and all who have neither are
// one. No owner has more than half of the keys: what is beyond is answered by 429.
//
// What is known of a key is left in the hub's log, in one batch with the events: also
// after kill -9 either both are there or neither, so that a request which got no
// answer may be sent again as it is. Where the log is not synced, a crash that takes
// the events takes the key with them. Without a log keys are known as long as the
// hub's process lives, and where retention has removed a key's record, until its end.
//
// In a cluster a key is known at all hubs, for as long as the stream has it: a request may
// be sent again to another one. A hub that can't find out which keys there are refuses
// them by 503.
//
// It may be used by many goroutines at once, for one hub. Memory: some 150 bytes for
// each key, and what is under way: 1024 pushes and 64 MiB of bodies at most, beyond
// which further ones are answered by 503.
type Once struct {
	hub    *engine.Hub
	window time.Duration
	most   int
	now    func() time.Time

	shared  bool          // with the other hubs of a cluster
	reading chan struct{} // of capacity 1: who holds it reads what there was before
	unread  atomic.Bool   // that has not been done yet, of a hub that follows others

	mu struct {
		sync.Mutex
		known  map[onceID]onceAnswer
		order  []onceTurn // of known, oldest first
		flying map[onceID]*onceFlight
		owned  map[onceOwner]int // how many of known and flying an owner has
		bytes  int               // of the bodies of flying
	}
}

// onceID stands for an owner and its key, and onceBody for what was sent with it: the
// first half of their SHA-256. Of the owner it is less: whose agree share a bound.
type (
	onceID    [16]byte
	onceBody  [16]byte
	onceOwner [8]byte
)

// ownerOf names whose a key is. Users have no NUL.
func ownerOf(g *Grant) string {
	if g.User == "" && g.ID != "" {
		return "\x00" + g.ID
	}
	return g.User
}

// onceAnswer is what is known of a push that was published.
type onceAnswer struct {
	body      onceBody
	owner     onceOwner // zero: of a note without one
	at        int64     // Unix milliseconds
	first     uint64
	events    int
	ephemeral []int  // which of the events have no ID
	by        string // the flight; of others' pushes alone
}

// onceTurn is when a key is to be forgotten, unless it was used anew since.
type onceTurn struct {
	id onceID
	at int64
}

// onceFlight is a push that is under way.
type onceFlight struct {
	body  onceBody
	owner onceOwner
	size  int           // of the body, in bytes
	done  chan struct{} // closed once ids and err are set
	ids   []uint64
	err   error
	by    string // it alone

	// Of a hub that follows others: the publishing's.
	ctx context.Context
	end context.CancelFunc
}

// onceNote is what the log has of a push.
type onceNote struct {
	Key       string `json:"key"`
	Body      string `json:"body"`
	Owner     string `json:"owner,omitempty"`
	Events    int    `json:"events"`
	Ephemeral []int  `json:"ephemeral,omitempty"`
	By        string `json:"by,omitempty"` // the flight, in a cluster: hubs may be at a key at one time
}

// NewOnce returns one that remembers keys for a window (at least a second), and reads
// what the hub's log has of it, which ctx bounds. While most keys are known, pushes
// with further ones are answered by 503; those of an earlier start count, and are all
// kept.
//
// A hub whose log is not persist.Dated, such as persist.FromStore, is refused with
// engine.ErrNoNotes: it keeps neither a push as a whole nor its time.
func NewOnce(ctx context.Context, hub *engine.Hub, window time.Duration, most int) (*Once, error) {
	begun := time.Now()
	o := &Once{hub: hub, window: max(window, time.Second), most: max(most, 1)}
	o.now = func() time.Time { return begun.Add(time.Since(begun)) } // a clock that is set moves no window
	o.mu.known = map[onceID]onceAnswer{}
	o.mu.flying = map[onceID]*onceFlight{}
	o.mu.owned = map[onceOwner]int{}
	o.reading = make(chan struct{}, 1)
	if hub.OnNote(o.learn) {
		o.shared, o.window = true, max(o.window, clusterWindow)
		o.unread.Store(true)
		return o, nil // the others may not be there yet
	}
	return o, o.read(ctx)
}

// read enters the keys that there were.
func (o *Once) read(ctx context.Context) error {
	now := o.now()
	return o.hub.Notes(ctx, now.Add(-o.window), func(n engine.Note) error {
		if id, a, ok := readNote(n, now); ok {
			o.mu.Lock()
			o.remember(id, a)
			o.mu.Unlock()
		}
		return nil
	})
}

// readNote returns what a note says of a key; false: it is of another kind.
func readNote(n engine.Note, now time.Time) (id onceID, a onceAnswer, ok bool) {
	var note onceNote
	var body onceBody
	var owner onceOwner
	if json.Unmarshal(n.Data, &note) != nil || !unhex(id[:], note.Key) || !unhex(body[:], note.Body) || note.Owner != "" && !unhex(owner[:], note.Owner) {
		return id, a, false
	}
	at := min(n.Time.UnixMilli(), now.UnixMilli()) // a clock that was ahead keeps no key, and those behind it, for longer
	return id, onceAnswer{body: body, owner: owner, at: at, first: n.ID + 1, events: note.Events, ephemeral: note.Ephemeral, by: note.By}, true
}

// clusterWindow is the least window in a cluster, whose orderer remembers keys too, for two
// minutes by default.
const clusterWindow = 3 * time.Minute

// readTime bounds the reading of what there was before.
const readTime = 20 * time.Second

// errUnread is the answer while it is not known which keys there are.
var errUnread = unavailable("which keys there are is not known yet")

// ready returns once it is known which keys there are.
func (o *Once) ready(ctx context.Context) *Error {
	if !o.unread.Load() {
		return nil
	}
	select {
	case o.reading <- struct{}{}:
		defer func() { <-o.reading }()
	case <-ctx.Done():
		return errUnread
	}
	if !o.unread.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	if err := o.read(ctx); err != nil {
		return errUnread
	}
	o.unread.Store(false)
	return nil
}

// learn enters a key that a hub of the cluster has published. Where it is another hub's,
// it ends the flight of this one with it: nothing will come of that.
func (o *Once) learn(n engine.Note) {
	now := o.now()
	id, a, ok := readNote(n, now)
	if !ok || a.at < now.Add(-o.window).UnixMilli() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.remember(id, a)
	if f := o.mu.flying[id]; f != nil && a.by != f.by {
		f.end()
	}
}

func unhex(to []byte, text string) bool {
	n, err := hex.Decode(to, []byte(text))
	return err == nil && n == len(to) && len(text) == 2*len(to)
}

// WithPushOnce takes the header Idempotency-Key. Without it, requests that have one are
// refused: their sender relies on it.
func WithPushOnce(o *Once) PushOption { return func(c *pushConfig) { c.once = o } }

// onceKey returns the request's key, "" if it has none. A key may stand in quotes.
func onceKey(r *http.Request) (string, *Error) {
	values := r.Header.Values(onceHeader)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", badRequest(onceHeader, "is given more than once")
	}
	key := values[0]
	if n := len(key); n >= 2 && key[0] == '"' && key[n-1] == '"' {
		key = key[1 : n-1]
	}
	switch {
	case key == "":
		return "", badRequest(onceHeader, "is empty")
	case len(key) > maxOnceKey:
		return "", badRequest(onceHeader, "is longer than 256 bytes")
	case strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }):
		return "", badRequest(onceHeader, "has other than visible ASCII characters, or a quote or backslash")
	}
	return key, nil
}

// publish publishes a push once, for an owner and a key, and says whether the IDs are
// those of an earlier request.
func (o *Once) publish(ctx context.Context, owner, key string, body []byte, p *push) (ids []uint64, replayed bool, refusal *Error) {
	if refusal := o.ready(ctx); refusal != nil {
		return nil, false, refusal
	}
	f := &onceFlight{body: half(string(body)), size: len(body), done: make(chan struct{}), by: rand.Text()}
	whose := half(owner)
	copy(f.owner[:], whose[:])
	f, ids, refusal = o.begin(half(owner+"\x00"+key), f, p)
	if refusal != nil || f == nil {
		return ids, refusal == nil, refusal
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, false, publishError(ctx.Err())
	}
	if f.err != nil {
		var refusal *Error
		if errors.As(f.err, &refusal) {
			return nil, false, refusal
		}
		return nil, false, publishError(f.err)
	}
	return f.ids, false, nil
}

func half(text string) (sum [16]byte) {
	whole := sha256.Sum256([]byte(text))
	copy(sum[:], whole[:])
	return sum
}

// errOtherBody is the answer to a key that stands for something else.
var errOtherBody = &Error{Status: http.StatusUnprocessableEntity, Field: onceHeader, Message: "was used for another body: each push has a key of its own, and sends the same bytes when it is tried again"}

// begin returns what is known of the push, or else its flight, which is fresh unless it
// is under way.
func (o *Once) begin(id onceID, fresh *onceFlight, p *push) (f *onceFlight, ids []uint64, refusal *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	o.forget(now)
	if a, ok := o.mu.known[id]; ok {
		if a.body != fresh.body {
			return nil, nil, errOtherBody
		}
		return nil, a.ids(), nil
	}
	if f, ok := o.mu.flying[id]; ok {
		if f.body != fresh.body {
			return nil, nil, errOtherBody
		}
		return f, nil, nil
	}
	if refusal := o.full(fresh, now); refusal != nil {
		return nil, nil, refusal
	}
	if o.shared {
		fresh.ctx, fresh.end = context.WithCancel(context.Background())
	}
	o.mu.flying[id] = fresh
	o.mu.owned[fresh.owner]++
	o.mu.bytes += fresh.size
	go o.fly(id, fresh, p)
	return fresh, nil, nil
}

// full says why there is no room for a flight, nil if there is. The lock is held.
func (o *Once) full(f *onceFlight, now time.Time) *Error {
	var full *Error
	switch {
	case len(o.mu.known)+len(o.mu.flying) >= o.most:
		full = unavailable("as many keys are remembered as there is room for")
	case o.mu.owned[f.owner] >= (o.most+1)/2:
		full = &Error{Status: http.StatusTooManyRequests, Message: "as many keys of this user are remembered as one may have: half of all"}
	}
	if full != nil {
		full.Field = onceHeader
		if len(o.mu.order) > 0 {
			full.RetryAfter = max(time.UnixMilli(o.mu.order[0].at).Add(o.window).Sub(now), time.Second)
		}
		return full
	}
	if n := len(o.mu.flying); n >= maxFlights || n > 0 && o.mu.bytes+f.size > maxFlightBytes {
		return unavailable("as many pushes with keys are under way as there is room for")
	}
	return nil
}

// fly publishes. No client's going away ends it: whether the events are there must be
// known to whoever asks next.
func (o *Once) fly(id onceID, f *onceFlight, p *push) {
	note := onceNote{Key: hex.EncodeToString(id[:]), Body: hex.EncodeToString(f.body[:]), Owner: hex.EncodeToString(f.owner[:]), Events: len(p.events)}
	for i, e := range p.events {
		if e.Ephemeral {
			note.Ephemeral = append(note.Ephemeral, i)
		}
	}
	ctx := context.Background()
	if f.end != nil {
		note.By = f.by
		ctx = f.ctx
		defer f.end()
	}
	f.ids, f.err = o.hub.PublishOnce(ctx, note.Key, note, p.uids, p.events...)
	o.mu.Lock()
	delete(o.mu.flying, id)
	o.disown(f.owner)
	o.mu.bytes -= f.size
	switch known, is := o.mu.known[id]; {
	case is && known.body != f.body: // another hub was faster
		f.err = errOtherBody
	case is && f.err != nil: // another hub, or it was kept though nobody said so
		f.ids, f.err = known.ids(), nil
	case !is && f.err == nil:
		a := onceAnswer{body: f.body, owner: f.owner, at: o.now().UnixMilli(), events: len(f.ids), ephemeral: note.Ephemeral, by: note.By}
		for _, id := range f.ids {
			if id != 0 {
				a.first = id
				break
			}
		}
		o.remember(id, a)
	}
	o.mu.Unlock()
	close(f.done)
}

// ids are those that were given.
func (a *onceAnswer) ids() []uint64 {
	ids, next, without := make([]uint64, a.events), a.first, a.ephemeral
	for i := range ids {
		if len(without) > 0 && without[0] == i {
			without = without[1:]
			continue
		}
		ids[i] = next
		next++
	}
	return ids
}

// remember enters a key. The lock is held.
func (o *Once) remember(id onceID, a onceAnswer) {
	if old, ok := o.mu.known[id]; ok {
		if old.body == a.body && (old.by != "" && old.by == a.by || old.first == a.first && old.first != 0) {
			return // it came again
		}
		o.disown(old.owner)
	}
	o.mu.known[id] = a
	o.mu.owned[a.owner]++
	o.mu.order = append(o.mu.order, onceTurn{id, a.at})
}

// disown counts one key less of an owner. The lock is held.
func (o *Once) disown(owner onceOwner) {
	if o.mu.owned[owner]--; o.mu.owned[owner] == 0 {
		delete(o.mu.owned, owner)
	}
}

// forget strikes off the keys whose window is over. The lock is held.
func (o *Once) forget(now time.Time) {
	over := now.Add(-o.window).UnixMilli()
	for len(o.mu.order) > 0 && o.mu.order[0].at < over {
		t := o.mu.order[0]
		o.mu.order = o.mu.order[1:]
		if a, ok := o.mu.known[t.id]; ok && a.at == t.at {
			delete(o.mu.known, t.id)
			o.disown(a.owner)
		}
	}
	if len(o.mu.known) == 0 && len(o.mu.order) == 0 && o.mu.order != nil { // Go's maps give nothing back
		o.mu.known, o.mu.order = map[onceID]onceAnswer{}, nil
		if len(o.mu.owned) == 0 {
			o.mu.owned = map[onceOwner]int{}
		}
	}
}

// publishOnce is what a push with a key, "" being none, has to do with it.
func (c *pushConfig) publishOnce(ctx context.Context, w http.ResponseWriter, g *Grant, key string, body []byte, p *push) ([]uint64, *Error) {
	ids, replayed, refusal := c.once.publish(ctx, ownerOf(g), key, body, p)
	if replayed {
		w.Header().Set(replayedHeader, "true")
	}
	return ids, refusal
}

// keyOf is onceKey for a handler that may not remember any.
func (c *pushConfig) keyOf(r *http.Request) (string, *Error) {
	key, refusal := onceKey(r)
	if refusal == nil && key != "" && c.once == nil {
		refusal = badRequest(onceHeader, "is not taken here: nothing remembers it")
	}
	return key, refusal
}
