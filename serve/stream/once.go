package stream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
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
// same user that is known gets the IDs that the first one got, for a window of time.
//
// What is known of a key is left in the hub's log, in one batch with the events: also
// after kill -9 either both are there or neither, so that a request which got no
// answer may be sent again as it is. Where the log is not synced, a crash that takes
// the events takes the key with them. Without a log keys are known as long as the
// hub's process lives, and where retention has removed a key's record, until its end.
//
// It may be used by many goroutines at once, for one hub. Memory: some 150 bytes for
// each key, and what is under way: 1024 pushes and 64 MiB of bodies at most, beyond
// which further ones are answered by 503.
type Once struct {
	hub    *engine.Hub
	window time.Duration
	most   int
	now    func() time.Time

	mu struct {
		sync.Mutex
		known  map[onceID]onceAnswer
		order  []onceTurn // of known, oldest first
		flying map[onceID]*onceFlight
		bytes  int // of the bodies of flying
	}
}

// onceID stands for a user and its key, and onceBody for what was sent with it: the
// first half of their SHA-256.
type (
	onceID   [16]byte
	onceBody [16]byte
)

// onceAnswer is what is known of a push that was published.
type onceAnswer struct {
	body      onceBody
	at        int64 // Unix milliseconds
	first     uint64
	events    int
	ephemeral []int // which of the events have no ID
}

// onceTurn is when a key is to be forgotten, unless it was used anew since.
type onceTurn struct {
	id onceID
	at int64
}

// onceFlight is a push that is under way.
type onceFlight struct {
	body onceBody
	size int           // of the body, in bytes
	done chan struct{} // closed once ids and err are set
	ids  []uint64
	err  error
}

// onceNote is what the log has of a push.
type onceNote struct {
	Key       string `json:"key"`
	Body      string `json:"body"`
	Events    int    `json:"events"`
	Ephemeral []int  `json:"ephemeral,omitempty"`
}

// NewOnce returns one that remembers keys for a window (at least a second), and reads
// what the hub's log has of it, which ctx bounds. While most keys are known, pushes
// with further ones are answered by 503; those of an earlier start count, and are all
// kept.
func NewOnce(ctx context.Context, hub *engine.Hub, window time.Duration, most int) (*Once, error) {
	begun := time.Now()
	o := &Once{hub: hub, window: max(window, time.Second), most: max(most, 1)}
	o.now = func() time.Time { return begun.Add(time.Since(begun)) } // a clock that is set moves no window
	o.mu.known = map[onceID]onceAnswer{}
	o.mu.flying = map[onceID]*onceFlight{}
	err := hub.Notes(ctx, o.now().Add(-o.window), func(n engine.Note) error {
		var note onceNote
		if json.Unmarshal(n.Data, &note) != nil {
			return nil // of another kind
		}
		id, body := onceID{}, onceBody{}
		if !unhex(id[:], note.Key) || !unhex(body[:], note.Body) {
			return nil
		}
		at := min(n.Time.UnixMilli(), begun.UnixMilli()) // a clock that was ahead keeps no key, and those behind it, for longer
		o.remember(id, onceAnswer{body: body, at: at, first: n.ID + 1, events: note.Events, ephemeral: note.Ephemeral})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return o, nil
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

// publish publishes a push once, for a user and a key, and says whether the IDs are
// those of an earlier request.
func (o *Once) publish(ctx context.Context, user, key string, body []byte, p *push) (ids []uint64, replayed bool, refusal *Error) {
	id, sum := onceID(half(user+"\x00"+key)), onceBody(half(string(body)))
	f, ids, refusal := o.begin(id, sum, len(body), p)
	if refusal != nil || f == nil {
		return ids, refusal == nil, refusal
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, false, publishError(ctx.Err())
	}
	if f.err != nil {
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

// begin returns what is known of the push, or else its flight, which begins unless it
// is under way.
func (o *Once) begin(id onceID, body onceBody, size int, p *push) (f *onceFlight, ids []uint64, refusal *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	o.forget(now)
	if a, ok := o.mu.known[id]; ok {
		if a.body != body {
			return nil, nil, errOtherBody
		}
		return nil, a.ids(), nil
	}
	if f, ok := o.mu.flying[id]; ok {
		if f.body != body {
			return nil, nil, errOtherBody
		}
		return f, nil, nil
	}
	if len(o.mu.known)+len(o.mu.flying) >= o.most {
		full := unavailable("as many keys are remembered as there is room for")
		full.Field = onceHeader
		if len(o.mu.order) > 0 {
			full.RetryAfter = max(time.UnixMilli(o.mu.order[0].at).Add(o.window).Sub(now), time.Second)
		}
		return nil, nil, full
	}
	if n := len(o.mu.flying); n >= maxFlights || n > 0 && o.mu.bytes+size > maxFlightBytes {
		return nil, nil, unavailable("as many pushes with keys are under way as there is room for")
	}
	f = &onceFlight{body: body, size: size, done: make(chan struct{})}
	o.mu.flying[id] = f
	o.mu.bytes += size
	go o.fly(id, f, p)
	return f, nil, nil
}

// fly publishes. No client's going away ends it: whether the events are there must be
// known to whoever asks next.
func (o *Once) fly(id onceID, f *onceFlight, p *push) {
	note := onceNote{Key: hex.EncodeToString(id[:]), Body: hex.EncodeToString(f.body[:]), Events: len(p.events)}
	for i, e := range p.events {
		if e.Ephemeral {
			note.Ephemeral = append(note.Ephemeral, i)
		}
	}
	f.ids, f.err = o.hub.PublishNoted(context.Background(), note, p.uids, p.events...)
	o.mu.Lock()
	delete(o.mu.flying, id)
	o.mu.bytes -= f.size
	if f.err == nil {
		a := onceAnswer{body: f.body, at: o.now().UnixMilli(), events: len(f.ids), ephemeral: note.Ephemeral}
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
	o.mu.known[id] = a
	o.mu.order = append(o.mu.order, onceTurn{id, a.at})
}

// forget strikes off the keys whose window is over. The lock is held.
func (o *Once) forget(now time.Time) {
	over := now.Add(-o.window).UnixMilli()
	for len(o.mu.order) > 0 && o.mu.order[0].at < over {
		t := o.mu.order[0]
		o.mu.order = o.mu.order[1:]
		if o.mu.known[t.id].at == t.at {
			delete(o.mu.known, t.id)
		}
	}
	if len(o.mu.known) == 0 && len(o.mu.order) == 0 && o.mu.order != nil { // Go's maps give nothing back
		o.mu.known, o.mu.order = map[onceID]onceAnswer{}, nil
	}
}

// publishOnce is what a push with a key, "" being none, has to do with it.
func (c *pushConfig) publishOnce(ctx context.Context, w http.ResponseWriter, g *Grant, key string, body []byte, p *push) ([]uint64, *Error) {
	ids, replayed, refusal := c.once.publish(ctx, g.User, key, body, p)
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
