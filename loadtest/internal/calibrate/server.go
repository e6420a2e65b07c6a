// Package calibrate is an event server for the load tester's own tests: it
// delays, drops, doubles, swaps and misaddresses exactly the events it is told
// to, and counts what it did, so that the load tester's figures can be compared
// with the truth. It speaks the push API of spate.
package calibrate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spatehub/spate/loadtest/stamp"
)

// Faults says what the server does wrong. A rule with a period n concerns every
// n-th event that a stream is owed; 0 switches it off. Each event suffers one
// fault at most, the first that applies in the order of the fields.
type Faults struct {
	Drop        int // not sent
	Double      int // sent twice
	Swap        int // sent after the next one
	Misaddress  int // a copy for somebody else is sent as well
	Corrupt     int // a copy that lacks its last byte is sent as well
	SkipResumed int // of the events owed to a stream that comes back, the first ones are left out
	EndAfter    int // the stream is ended after so many events; not a period

	// Delay is how long after its due time an event is sent to a user. nil: at once.
	Delay func(uid string) time.Duration
	// Backdate makes events look as if they had been due so much earlier. That is
	// a delay which does not depend on how busy the machine is.
	Backdate func(uid string) time.Duration
	// Identity answers without chunked coding.
	Identity bool
	// NoIDs sends events without IDs, so that streams cannot resume.
	NoIDs bool
	// Gate, if not nil, answers instead of the event stream where it reports true.
	Gate func(w http.ResponseWriter, r *http.Request) bool
	// GatePush does the same for pushes.
	GatePush func(w http.ResponseWriter, r *http.Request) bool
}

// Truth is what the server did.
type Truth struct {
	Pushed                                             int64 // events accepted
	Sent                                               int64 // receipts that streams are owed and were sent once
	Dropped, Doubled, Swapped, Misaddressed, Corrupted int64
	Resumed, Skipped, Ended                            int64
}

// record is one event of the history.
type record struct {
	id    uint64
	uids  []string
	topic string
	event string
	data  string
	due   int64 // nanoseconds since the Unix epoch
}

// Server is the handler of GET /events and POST /push.
type Server struct {
	faults Faults
	mu     struct {
		sync.Mutex
		log    []record
		truth  Truth
		delays []time.Duration
		wake   chan struct{} // closed, and replaced, when log grows
	}
}

// New returns a server with the given faults.
func New(f Faults) *Server {
	s := &Server{faults: f}
	s.mu.wake = make(chan struct{})
	return s
}

// Truth returns the counts so far.
func (s *Server) Truth() Truth {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.truth
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/events":
		if s.faults.Gate == nil || !s.faults.Gate(w, r) {
			s.stream(w, r)
		}
	case "/push":
		if s.faults.GatePush == nil || !s.faults.GatePush(w, r) {
			s.push(w, r)
		}
	default:
		http.NotFound(w, r)
	}
}

// Delays returns, in rising order, how long after its due time each event was
// really sent, if Delay is set: on a busy machine that is more than was asked for.
func (s *Server) Delays() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.mu.delays))
}

func (s *Server) push(w http.ResponseWriter, r *http.Request) {
	var body struct {
		UIDs   []string `json:"uids"`
		Events []struct{ Event, Data, Topic string }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	for _, e := range body.Events {
		st, _ := stamp.Parse([]byte(e.Data))
		s.mu.log = append(s.mu.log, record{
			id: uint64(len(s.mu.log)) + 1000, uids: body.UIDs, topic: e.Topic, event: e.Event, data: e.Data, due: st.Sent,
		})
		s.mu.truth.Pushed++
	}
	close(s.mu.wake)
	s.mu.wake = make(chan struct{})
	s.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
}

// client is one stream.
type client struct {
	s      *Server
	uid    string
	topics []string
	owed   int // events so far that the stream was owed
	skip   int // of the next ones, how many to leave out
	held   []byte
	write  func([]byte) error
}

// stream sends the log from where the client is, on and on.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	c := &client{s: s, uid: q.Get("uid"), topics: q["topic"]}
	s.mu.Lock()
	at := len(s.mu.log)
	if id, err := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64); err == nil && id >= 1000 {
		at = min(at, int(id-1000)+1)
		c.skip = s.faults.SkipResumed
		s.mu.truth.Resumed++
	}
	s.mu.Unlock()
	done := r.Context().Done()
	if s.faults.Identity {
		closed, end := c.hijack(w)
		if end == nil {
			return
		}
		defer end()
		done = closed
	} else {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		c.write = func(b []byte) error {
			_, _ = w.Write(b)
			return http.NewResponseController(w).Flush()
		}
	}
	if c.write([]byte(": hello\n\n")) != nil {
		return
	}
	for {
		s.mu.Lock()
		news, wake := s.mu.log[at:], s.mu.wake
		s.mu.Unlock()
		for _, rec := range news {
			at++
			if c.send(rec, done) != nil {
				return
			}
			if c.owed == s.faults.EndAfter && s.faults.EndAfter > 0 {
				s.count(Truth{Ended: 1})
				return
			}
		}
		select {
		case <-wake:
		case <-done:
			return
		}
	}
}

// hijack answers without any transfer coding. end closes the connection.
func (c *client) hijack(w http.ResponseWriter) (closed <-chan struct{}, end func()) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil
	}
	c.write = func(b []byte) error {
		_, err := conn.Write(b)
		return err
	}
	if c.write([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")) != nil {
		_ = conn.Close()
		return nil, nil
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = conn.Read(make([]byte, 1)) // the client sends nothing more: it ends with the connection
	}()
	return gone, func() {
		_ = conn.Close()
		<-gone
	}
}

// send handles one event for this stream, faults included.
func (c *client) send(rec record, done <-chan struct{}) error {
	mine := (len(rec.uids) == 0 || slices.Contains(rec.uids, c.uid)) && (rec.topic == "" || slices.Contains(c.topics, rec.topic))
	f := c.s.faults
	if !mine {
		return nil
	}
	if f.Delay != nil {
		wait := time.NewTimer(time.Until(time.Unix(0, rec.due)) + f.Delay(c.uid))
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-done:
			return http.ErrAbortHandler
		}
		c.s.mu.Lock()
		c.s.mu.delays = append(c.s.mu.delays, time.Since(time.Unix(0, rec.due)))
		c.s.mu.Unlock()
	}
	c.owed++
	if f.Backdate != nil {
		st, _ := stamp.Parse([]byte(rec.data))
		st.Sent = time.Now().Add(-f.Backdate(c.uid)).UnixNano()
		rec.data = string(stamp.Append(nil, st))
	}
	frame := c.frame(rec, rec.data)
	var t Truth
	hit := func(period int) bool { return period > 0 && c.owed%period == 0 }
	release := c.held
	c.held = nil
	out := frame
	switch {
	case c.skip > 0:
		c.skip--
		t.Skipped++
		out = nil
	case hit(f.Drop):
		t.Dropped++
		out = nil
	case hit(f.Double):
		t.Doubled++
		t.Sent++
		out = append(slices.Clone(frame), frame...)
	case hit(f.Swap) && release == nil:
		t.Sent++
		c.held, out = frame, nil
	case hit(f.Misaddress):
		t.Misaddressed++
		t.Sent++
		out = append(c.foreign(rec), frame...)
	case hit(f.Corrupt):
		t.Corrupted++
		t.Sent++
		out = append(c.frame(rec, rec.data[:len(rec.data)-1]), frame...)
	default:
		t.Sent++
	}
	if len(release) > 0 {
		if len(out) > 0 {
			t.Swapped++
		}
		out = append(out, release...)
	}
	c.s.count(t)
	if len(out) == 0 {
		return nil
	}
	return c.write(out)
}

func (s *Server) count(t Truth) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.truth.add(t)
}

func (t *Truth) add(o Truth) {
	t.Ended += o.Ended
	t.Sent += o.Sent
	t.Dropped += o.Dropped
	t.Doubled += o.Doubled
	t.Swapped += o.Swapped
	t.Misaddressed += o.Misaddressed
	t.Corrupted += o.Corrupted
	t.Skipped += o.Skipped
}

func (c *client) frame(rec record, data string) []byte {
	var b bytes.Buffer
	if !c.s.faults.NoIDs {
		fmt.Fprintf(&b, "id: %d\n", rec.id)
	}
	fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", rec.event, data)
	return b.Bytes()
}

// foreign is an event with the content of rec, addressed to the next user.
func (c *client) foreign(rec record) []byte {
	st, _ := stamp.Parse([]byte(rec.data))
	n, _ := strconv.ParseUint(c.uid[1:], 10, 32)
	st.Kind, st.Index = stamp.User, uint32(n)^1
	return c.frame(rec, string(stamp.Append(nil, st)))
}
