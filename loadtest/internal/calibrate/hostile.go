package calibrate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"

	"github.com/spatehub/spate/loadtest/stamp"
)

// Hostile is a server that does whatever can go wrong, drawn at random from a seed,
// and keeps a book of what each user has really got, which knows nothing of how the
// load tester counts. It takes broadcasts from one publishing connection.
type Hostile struct {
	Seed uint64
	Bare bool // answer on the bare connection, with chunks or without
	Type string

	mu struct {
		sync.Mutex
		log   []pushed
		users map[string]*reader
		busy  int // connections that have something to send
		truth Hostilities
		wake  chan struct{} // closed, and replaced, when log grows
	}
}

type pushed struct {
	data string
	seq  uint64
}

// firstID is the ID of the first event.
const firstID = 1000

// Hostilities is what the streams went through.
type Hostilities struct {
	Pushed, Delivered, Doubled, Disorder, Corrupt, Misaddressed int64
	IDDisorder, IDMissing                                       int64
	Ended, Resumed, Refused                                     int64
	Lost                                                        int64 // once all is over

	Kinds map[string]int // how often each thing was done, to show that it was
}

// reader is the book of one user.
type reader struct {
	connections uint64
	got         map[uint64]bool // numbers received whole
	highest     uint64
}

// NewHostile returns a server whose deeds follow from the seed.
func NewHostile(seed uint64, eventType string) *Hostile {
	h := &Hostile{Seed: seed, Type: eventType}
	h.mu.users, h.mu.wake = map[string]*reader{}, make(chan struct{})
	h.mu.truth.Kinds = map[string]int{}
	return h
}

// Truth returns what has happened so far.
func (h *Hostile) Truth() Hostilities {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.mu.truth
	for _, u := range h.mu.users {
		t.Lost += t.Pushed - int64(len(u.got))
	}
	return t
}

// ServeHTTP implements http.Handler.
func (h *Hostile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/push" {
		h.push(w, r)
		return
	}
	h.stream(w, r)
}

func (h *Hostile) push(w http.ResponseWriter, r *http.Request) {
	var body struct{ Events []struct{ Data string } }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range body.Events {
		s, _ := stamp.Parse([]byte(e.Data))
		h.mu.log = append(h.mu.log, pushed{e.Data, s.Seq})
		h.mu.truth.Pushed++
	}
	close(h.mu.wake)
	h.mu.wake = make(chan struct{})
}

// conn is one connection of one user.
type conn struct {
	h      *Hostile
	user   *reader
	rand   *rand.Rand
	write  func([]byte) error // one piece, flushed
	reset  func()
	lastID uint64
	sent   int
	held   *pushed // to be sent after the next one
	heldID uint64
}

func (h *Hostile) stream(w http.ResponseWriter, r *http.Request) {
	uid := r.URL.Query().Get("uid")
	h.mu.Lock()
	u := h.mu.users[uid]
	if u == nil {
		u = &reader{got: map[uint64]bool{}}
		h.mu.users[uid] = u
	}
	u.connections++
	n, _ := strconv.ParseUint(uid[1:], 10, 32)
	c := &conn{h: h, user: u, rand: rand.New(rand.NewPCG(h.Seed, n<<32|u.connections))}
	refused := c.rand.IntN(8) == 0
	at := len(h.mu.log)
	if id := r.Header.Get("Last-Event-ID"); id != "" && !refused {
		last, err := strconv.ParseUint(id, 10, 64)
		if err != nil {
			last = 1 << 32 // not known: it goes on wherever the log is
		}
		at = c.resumeAt(int(last) - firstID + 1)
	}
	h.mu.Unlock()

	if refused {
		c.refuse(w)
		return
	}
	h.working(1)
	defer func() { h.working(-1) }()
	done := c.open(w, r)
	if done == nil {
		return
	}
	for {
		h.mu.Lock()
		news, wake := h.mu.log[at:], h.mu.wake
		h.mu.Unlock()
		for i := range news {
			if !c.event(&news[i], firstID+uint64(at)) {
				return
			}
			at++
		}
		if at < h.pushed() {
			continue
		}
		h.working(-1)
		select {
		case <-wake:
			h.working(1)
		case <-done:
			h.working(1)
			return
		}
	}
}

func (h *Hostile) working(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.busy += n
}

func (h *Hostile) pushed() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.mu.log)
}

// Busy reports whether a connection still has something to send.
func (h *Hostile) Busy() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.busy > 0
}

// resumeAt is where a stream goes on that wants to from at: there, too early, too
// late, or wherever the log is. The lock is held.
func (c *conn) resumeAt(at int) int {
	t := &c.h.mu.truth
	t.Resumed++
	end := len(c.h.mu.log)
	switch c.rand.IntN(5) {
	case 0:
		t.Kinds["resume too early"]++
		at -= 1 + c.rand.IntN(5)
	case 1:
		t.Kinds["resume too late"]++
		at += 1 + c.rand.IntN(3)
	case 2:
		t.Kinds["resume ignored"]++
		at = end
	}
	return min(max(at, 0), end)
}

// refuse answers that there is no stream just now, perhaps after other heads.
func (c *conn) refuse(w http.ResponseWriter) {
	c.did("refused")
	c.count(func(t *Hostilities) { t.Refused++ })
	for range c.rand.IntN(3) {
		w.WriteHeader(http.StatusEarlyHints)
	}
	w.Header().Set("Retry-After", "1")
	http.Error(w, "later", []int{http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusInternalServerError}[c.rand.IntN(3)])
}

// open sends a head, perhaps after others. done is closed when the client goes.
func (c *conn) open(w http.ResponseWriter, r *http.Request) (done <-chan struct{}) {
	early := c.rand.IntN(3)
	if early > 0 {
		c.did("statuses before the head")
	}
	if c.h.Bare {
		return c.openBare(w, early)
	}
	for range early {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	c.write = func(b []byte) error {
		if _, err := w.Write(b); err != nil {
			return err
		}
		return control.Flush()
	}
	c.reset = func() { panic(http.ErrAbortHandler) }
	if c.write([]byte(": spate\nretry: 3000\n")) != nil {
		return nil
	}
	return r.Context().Done()
}

func (c *conn) openBare(w http.ResponseWriter, early int) <-chan struct{} {
	bare, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	pieces := func(b []byte, most int) error {
		for len(b) > 0 {
			n := min(len(b), 1+c.rand.IntN(most))
			if _, err := bare.Write(b[:n]); err != nil {
				return err
			}
			b = b[n:]
		}
		return nil
	}
	c.write = func(b []byte) error { return pieces(b, len(b)) }
	c.reset = func() { abort(bare) }
	coding := ""
	if c.rand.IntN(2) == 0 {
		c.did("chunks split anywhere")
		coding = "Transfer-Encoding: chunked\r\n"
		c.write = func(b []byte) error { return pieces(c.chunks(b), []int{1, 3, 1 << 20}[min(c.rand.IntN(20), 2)]) }
	}
	head := ""
	for range early {
		head += []string{
			"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n",
		}[c.rand.IntN(3)]
	}
	head += "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + coding + "Connection: close\r\n\r\n"
	if pieces([]byte(head), 40) != nil || c.write([]byte(":\n")) != nil {
		return nil
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = bare.Read(make([]byte, 1)) // the client sends nothing more
		_ = bare.Close()
	}()
	return gone
}

// chunks codes b in chunks of any size, their sizes written in every way that is allowed.
func (c *conn) chunks(b []byte) (coded []byte) {
	for len(b) > 0 {
		n := 1 + c.rand.IntN(len(b))
		coded = fmt.Appendf(coded, []string{"%x", "%X", "000%x", "%x;a=b", "%x ; c=\"d;e\""}[c.rand.IntN(5)], n)
		coded = append(coded, "\r\n"...)
		coded = append(append(coded, b[:n]...), "\r\n"...)
		b = b[n:]
	}
	return coded
}

// event sends one event, or does something else with it. ok is false when the
// connection is over.
func (c *conn) event(p *pushed, id uint64) (ok bool) {
	c.sent++
	kind := c.rand.IntN(60)
	if c.sent < 3 || c.held != nil {
		kind = 60 // what comes next has to be sound
	}
	data, typ, idText := p.data, c.h.Type, strconv.FormatUint(id, 10)
	switch kind {
	case 0:
		c.did("drop")
		return true
	case 1:
		c.did("double")
		if !c.send(data, typ, idText, p.seq) {
			return false
		}
	case 2:
		c.did("swap")
		c.held, c.heldID = p, id
		return true
	case 3:
		c.did("misaddress")
		s, _ := stamp.Parse([]byte(data))
		s.Kind, s.Index = stamp.User, 1_000 // a user that the run has, and no stream is
		if !c.send(string(stamp.Append(nil, s)), typ, "", 0) {
			return false
		}
		c.count(func(t *Hostilities) { t.Misaddressed++ })
	case 4:
		c.did("truncate")
		return c.damaged(data[:len(stamp.Marker)+c.rand.IntN(len(data)-len(stamp.Marker))], typ, idText)
	case 5, 6, 7:
		c.did("flip")
		b := []byte(data)
		b[c.rand.IntN(len(b))] ^= 1 << c.rand.IntN(8)
		return c.damaged(string(b), typ, idText)
	case 8:
		c.did("wrong type")
		b := []byte(typ)
		b[c.rand.IntN(len(b))] ^= 1
		return c.damaged(data, string(b), idText)
	case 9:
		c.did("no ID")
		idText = ""
	case 10:
		c.did("ID that is no number")
		idText += "x"
	case 11:
		c.did("ID backwards")
		idText = strconv.FormatUint(id-2, 10)
	case 12:
		c.did("reset in a frame")
		frame := c.frame(data, typ, idText)
		_ = c.write(frame[:1+c.rand.IntN(len(frame)-2)])
		c.count(func(t *Hostilities) { t.Ended++ })
		c.reset()
		return false
	}
	if !c.send(data, typ, idText, p.seq) {
		return false
	}
	if held := c.held; held != nil {
		c.held = nil
		return c.send(held.data, c.h.Type, strconv.FormatUint(c.heldID, 10), held.seq)
	}
	return true
}

func (c *conn) did(kind string) { c.count(func(t *Hostilities) { t.Kinds[kind]++ }) }

func (c *conn) count(fn func(t *Hostilities)) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	fn(&c.h.mu.truth)
}

// damaged sends an event that is not as it was published.
func (c *conn) damaged(data, typ, id string) bool {
	if !c.send(data, typ, id, 0) {
		return false
	}
	c.count(func(t *Hostilities) { t.Corrupt++ })
	return true
}

// send sends a frame in pieces, and books event seq as received; 0 = none.
func (c *conn) send(data, typ, id string, seq uint64) bool {
	frame := c.frame(data, typ, id)
	most := []int{1, 7, 1 << 20}[min(c.rand.IntN(20), 2)] // now and then byte by byte
	if most == 1 {
		c.did("split at every byte")
	}
	for len(frame) > 0 {
		n := min(len(frame), most)
		if c.write(frame[:n]) != nil {
			return false
		}
		frame = frame[n:]
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	t := &c.h.mu.truth
	n, err := strconv.ParseUint(id, 10, 64)
	switch {
	case err == nil && n <= c.lastID:
		t.IDDisorder++
	case err != nil && seq > 0:
		t.IDMissing++
	}
	if err == nil {
		c.lastID = n
	}
	switch u := c.user; {
	case seq == 0:
	case u.got[seq]:
		t.Doubled++
	default:
		if seq < u.highest {
			t.Disorder++
		}
		u.got[seq], u.highest = true, max(u.highest, seq)
		t.Delivered++
	}
	return true
}

// frame writes an event with line ends of any kind.
func (c *conn) frame(data, typ, id string) []byte {
	kind := c.rand.IntN(3)
	end := []string{"\n", "\r\n", "\r"}[kind]
	c.did([]string{"LF", "CRLF", "CR"}[kind])
	var b []byte
	if c.rand.IntN(10) == 0 {
		b = fmt.Appendf(b, ":%s", end)
	}
	if id != "" {
		b = fmt.Appendf(b, "id: %s%s", id, end)
	}
	return fmt.Appendf(b, "event: %s%sdata:%s%s%s", typ, end, data, end, end)
}
