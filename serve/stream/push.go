package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// PushOption sets up a push API.
type PushOption func(*pushConfig)

type pushConfig struct {
	maxBody     int64
	maxUsers    int
	maxEvents   int
	memory      int64
	timeout     time.Duration
	bodyTimeout time.Duration
	gate        Gate
	source      func(*http.Request) string
	once        *Once
}

const (
	defaultPushBody        = 1 << 20
	maxPushBody            = 1 << 40 // several of which are still a number
	defaultPushUsers       = 10_000
	defaultPushEvents      = 1000
	defaultPushTimeout     = 10 * time.Second
	defaultPushBodyTimeout = 30 * time.Second

	// maxPushDeliveries bounds users × events of a request: each pair is work
	// for the hub, and a small body can name very many.
	maxPushDeliveries = 100_000
)

// WithPushBodyLimit bounds the body of a request in bytes (default 1 MiB; at most 1 TiB).
func WithPushBodyLimit(n int64) PushOption {
	return func(c *pushConfig) { c.maxBody = n }
}

// WithPushUserLimit bounds the users of a request (default 10,000; 0 or less is
// the default). Users × events are bounded by 100,000 besides.
func WithPushUserLimit(n int) PushOption {
	return func(c *pushConfig) { c.maxUsers = n }
}

// WithPushEventLimit bounds the events of a request (default 1000). The hub's
// own bound, a quarter of its ring, holds besides.
func WithPushEventLimit(n int) PushOption {
	return func(c *pushConfig) { c.maxEvents = n }
}

// WithPushMemory bounds the bytes of memory that the bodies of pushes may take together,
// in the whole process and decoded as well: a push for whose body there is no room is
// answered by 503, before it is read where it says how long it is. Bodies above 16 KiB
// leave an eighth to smaller ones, and those of one user, or of one source where there
// is no user ([WithPushSource]), leave half to others. The default is 128 MiB, or room
// for 8 of the largest bodies where that is more; 0 or less is the default, and less than
// [LeastPushMemory] counts as that.
func WithPushMemory(n int64) PushOption {
	return func(c *pushConfig) { c.memory = n }
}

// WithPushSource says where a push comes from that has no user, as [WithSource] does:
// behind proxies, who their clients are. Without it, or with nil, it is the connection's
// address, of IPv6 its network of 64 bits.
func WithPushSource(source func(*http.Request) string) PushOption {
	return func(c *pushConfig) {
		if source != nil {
			c.source = source
		}
	}
}

// WithPushTimeout bounds the wait for the hub and its log (default 10 s).
func WithPushTimeout(d time.Duration) PushOption {
	return func(c *pushConfig) { c.timeout = d }
}

// WithPushBodyTimeout bounds how long the body of a request may take to arrive
// (default 30 s; 0 or less is the default). A ReadTimeout of the server that is
// shorter holds instead. Behind middleware whose ResponseWriter can't set
// deadlines (no Unwrap), only the latter does.
func WithPushBodyTimeout(d time.Duration) PushOption {
	return func(c *pushConfig) { c.bodyTimeout = d }
}

func newPushConfig(opts []PushOption) *pushConfig {
	c := &pushConfig{source: addressOf}
	for _, o := range opts {
		if o != nil {
			o(c)
		}
	}
	if c.maxBody <= 0 {
		c.maxBody = defaultPushBody
	}
	c.maxBody = min(c.maxBody, maxPushBody)
	if c.memory <= 0 {
		c.memory = max(defaultPushMemory, defaultBodies*bodyFactor*c.maxBody)
	}
	c.memory = max(c.memory, LeastPushMemory(c.maxBody))
	if c.maxUsers <= 0 {
		c.maxUsers = defaultPushUsers
	}
	if c.maxEvents <= 0 {
		c.maxEvents = defaultPushEvents
	}
	if c.timeout <= 0 {
		c.timeout = defaultPushTimeout
	}
	if c.bodyTimeout <= 0 {
		c.bodyTimeout = defaultPushBodyTimeout
	}
	return c
}

// PushHandler publishes what is posted to it:
//
//	{"uids":["u001"],"events":[{"event":"message","data":"hello"}]}
//
// The body is application/json in UTF-8, without a content coding; anything else,
// a body that does not say its type among it, is answered by 415.
//
// Without uids, or with null, the events are for everyone; an empty list is
// refused. An event has data (any JSON but null: the text of a string, anything
// else as compact JSON) and may have event, topic, key and ephemeral. Its id is
// the hub's to give.
//
// The answer is {"ids":["1718000000000001"]}, one for each event, "" for an
// ephemeral one. All events of a request are published or none; what is wrong
// is answered by a 4xx as [Error] says, with the field's path such as
// "events[1].data".
//
// With [WithPushOnce], a request may have an Idempotency-Key. One that is known gets
// the answer that was given, and Idempotency-Replayed: true; with another body it is
// answered by 422.
//
// It asks nobody for permission: put authorization in front of it. It panics for a
// nil hub.
func PushHandler(hub *engine.Hub, opts ...PushOption) http.Handler {
	return AuthorizedPush(hub, anybody, opts...)
}

// Publish is [PushHandler] for a handler of one's own: it reads the request and
// publishes what it asks for, but answers nothing. It returns the IDs, 0 for an
// ephemeral event, or the answer that is due, whose header fields (Retry-After, Allow
// and the like) are set.
func Publish(w http.ResponseWriter, r *http.Request, hub *engine.Hub, opts ...PushOption) ([]uint64, *Error) {
	return publishAs(w, r, hub, anybody, opts)
}

// publishAs is Publish for who is let in.
func publishAs(w http.ResponseWriter, r *http.Request, hub *engine.Hub, authorize Authorizer, opts []PushOption) ([]uint64, *Error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, &Error{Status: http.StatusMethodNotAllowed, Message: "only POST is allowed here"}
	}
	ids, refusal := newPushConfig(opts).publish(w, r, hub, authorize)
	if refusal != nil {
		refusal.setHeader(w.Header())
	}
	return ids, refusal
}

// serve answers one request.
func (c *pushConfig) serve(w http.ResponseWriter, r *http.Request, hub *engine.Hub, authorize Authorizer) {
	ids, refusal := c.publish(w, r, hub, authorize)
	if refusal != nil {
		writeError(w, refusal)
		return
	}
	answer := struct {
		IDs []string `json:"ids"`
	}{make([]string, len(ids))}
	for i, id := range ids {
		if id != 0 {
			answer.IDs[i] = wire.FormatID(id)
		}
	}
	writeJSON(w, http.StatusOK, answer)
}

func (c *pushConfig) publish(w http.ResponseWriter, r *http.Request, hub *engine.Hub, authorize Authorizer) ([]uint64, *Error) {
	// Before anything is refused: the server reads on in a body that it answers
	// early, and nothing else may bound that.
	lift := limitBody(w, r, c.bodyTimeout)
	g, refusal := c.pusher(r, authorize)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := checkContent(r); refusal != nil {
		return nil, refusal
	}
	key, refusal := c.keyOf(r)
	if refusal != nil {
		return nil, refusal
	}
	held := &memoryOf{limit: c.memory, caller: func() string { return c.bodyCaller(r, &g) }}
	defer held.free()
	body, refusal := c.read(w, r, held)
	if refusal != nil {
		return nil, refusal
	}
	lift()
	push, refusal := decodePush(body, c.maxUsers, c.maxEvents)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := c.mayPush(r, &g, push, len(body)); refusal != nil {
		return nil, refusal
	}
	ctx, cancel := context.WithTimeout(r.Context(), c.timeout)
	defer cancel()
	if key != "" {
		return c.publishOnce(ctx, w, &g, key, body, push)
	}
	ids, err := hub.Publish(ctx, push.uids, push.events...)
	if err != nil {
		return nil, publishError(err)
	}
	return ids, nil
}

// limitBody sets the deadline of the body. lift takes it back once the body has
// arrived: what the hub does then has its own time-out.
func limitBody(w http.ResponseWriter, r *http.Request, limit time.Duration) (lift func()) {
	rc := http.NewResponseController(w)
	// Writers without deadlines have none to set; the server's time-outs hold.
	_ = rc.SetReadDeadline(time.Now().Add(bodyTime(r, limit)))
	return func() { _ = rc.SetReadDeadline(time.Time{}) }
}

// read returns the body, whose memory is counted in held.
func (c *pushConfig) read(w http.ResponseWriter, r *http.Request, held *memoryOf) ([]byte, *Error) {
	if r.ContentLength > c.maxBody {
		return nil, readError(w, r, &http.MaxBytesError{Limit: c.maxBody})
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, c.maxBody), r.ContentLength, held)
	if err != nil {
		return nil, readError(w, r, err)
	}
	return body, nil
}

// readAll is io.ReadAll for what is said to be so long, -1 being unknown: no more than
// that is allocated in the end, and before it a multiple of what has come. It returns
// errNoRoom where there is no memory for it.
func readAll(r io.Reader, size int64, held *memoryOf) ([]byte, error) {
	const few, some = 512, 4 << 10
	first := int64(few)
	if size > 0 {
		first = min(size+1, some) // with a byte for the end to be seen
	}
	if !held.fits(max(first, size)) || !held.grow(first) {
		return nil, errNoRoom
	}
	body := make([]byte, 0, first)
	for {
		if len(body) == cap(body) {
			more := 2 * cap(body)
			if size >= int64(len(body)) {
				more = int(min(8*int64(cap(body)), size+1))
			}
			if !held.grow(int64(more)) {
				return nil, errNoRoom
			}
			body = append(make([]byte, 0, more), body...)
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// readError is the answer to an error of reading a body.
func readError(w http.ResponseWriter, r *http.Request, err error) *Error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, errNoRoom):
		bodyMemory.refused.Add(1)
		return errNoRoom
	case errors.As(err, &tooLarge):
		return &Error{Status: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf("the body is larger than the %d bytes that are taken", tooLarge.Limit)}
	case errors.Is(err, os.ErrDeadlineExceeded):
		if r.ProtoMajor == 1 { // the rest of the body is still to come; HTTP/2 resets its stream alone
			w.Header().Set("Connection", "close")
		}
		return &Error{Status: http.StatusRequestTimeout, Message: "the body took too long to arrive"}
	}
	return badRequest("", "the body could not be read")
}

// checkContent takes JSON in UTF-8, as it is, and says so of anything else. What
// says nothing of its type is refused too: a browser sends such a body for any
// page without asking, and a push API on loopback may have no other guard.
func checkContent(r *http.Request) *Error {
	if codings := r.Header.Values("Content-Encoding"); len(codings) > 0 && !(len(codings) == 1 && strings.EqualFold(codings[0], "identity")) {
		return unsupported("Content-Encoding", "is not taken: send the body as it is")
	}
	types := r.Header.Values("Content-Type")
	if len(types) == 0 {
		return unsupported("Content-Type", "is missing: it must be application/json")
	}
	if len(types) > 1 {
		return unsupported("Content-Type", "is given twice: it must be application/json")
	}
	kind, params, err := mime.ParseMediaType(types[0])
	if err != nil || kind != "application/json" {
		return unsupported("Content-Type", "must be application/json")
	}
	if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return unsupported("Content-Type", "must be application/json in UTF-8: the charset "+strconv.Quote(shortName(charset))+" is not taken")
	}
	return nil
}

// unsupported is the answer to a body in a form that is not taken.
func unsupported(field, message string) *Error {
	return &Error{Status: http.StatusUnsupportedMediaType, Message: message, Field: field}
}
