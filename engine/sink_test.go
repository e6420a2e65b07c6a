package engine_test

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// memSink is a connection in memory. Its room, the bytes that it still takes,
// is set by the test; a negative room has no bound.
type memSink struct {
	mu     sync.Mutex
	cond   *sync.Cond
	sub    engine.Subscriber
	t      testing.TB
	form   engine.Form
	coding string // the subscription's encoding
	buf    []byte
	room   int
	fail   error
	failed bool           // it has returned an error
	onSend func(p []byte) // sees what was offered, under mu
	closed int
	reason error
}

func newSink(room int) *memSink {
	s := &memSink{room: room}
	s.cond = sync.NewCond(&s.mu)
	return s
}

func (s *memSink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed > 0 {
		panic("sink written after Close")
	}
	if s.failed {
		panic("sink written after its error")
	}
	if s.onSend != nil {
		s.onSend(p)
	}
	if s.fail != nil {
		s.failed = true
		return 0, s.fail
	}
	n := len(p)
	if s.room >= 0 {
		n = min(n, s.room)
		s.room -= n
	}
	s.buf = append(s.buf, p[:n]...)
	s.cond.Broadcast()
	return n, nil
}

func (s *memSink) Close(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	s.reason = reason
	s.cond.Broadcast()
}

// allow lets the sink take n more bytes, without bound if n is negative.
func (s *memSink) allow(n int) {
	s.mu.Lock()
	if n < 0 {
		s.room = -1
	} else {
		s.room += n
	}
	sub := s.sub
	s.cond.Broadcast()
	s.mu.Unlock()
	sub.Writable()
}

// allowOnly lets the sink take n more bytes, and no more.
func (s *memSink) allowOnly(n int) {
	s.mu.Lock()
	s.room = n
	s.mu.Unlock()
}

// failWith makes every further write fail.
func (s *memSink) failWith(err error) {
	s.mu.Lock()
	s.fail = err
	s.mu.Unlock()
}

// await waits until ok, which looks at the sink under its lock.
func (s *memSink) await(ok func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !ok() {
		s.cond.Wait()
	}
}

func (s *memSink) awaitClosed() error {
	s.await(func() bool { return s.closed > 0 })
	return s.reason
}

// awaitText waits until the stream holds the text.
func (s *memSink) awaitText(text string) {
	seen := 0 // searched already
	s.await(func() bool {
		if s.coding != "" {
			return bytes.Contains(s.body(s.t, bytes.Clone(s.buf)), []byte(text))
		}
		if bytes.Contains(s.buf[seen:], []byte(text)) {
			return true
		}
		seen = max(0, len(s.buf)-len(text))
		return false
	})
}

// events parses what was received so far.
func (s *memSink) events(t testing.TB) []wire.Event {
	s.mu.Lock()
	b := bytes.Clone(s.buf)
	s.mu.Unlock()
	return parse(t, s.body(t, b))
}

// body returns the frames in what a stream has got so far.
func (s *memSink) body(t testing.TB, b []byte) []byte {
	if s.form == engine.FormChunked {
		b, _ = unchunk(t, b, s.coding != "")
	}
	return decoded(t, s.coding, b)
}

// unchunk takes the framing out of what came of a chunked stream so far: each
// chunk must be one frame, or a comment, unless it is coded. ended says that the last
// chunk came.
func unchunk(t testing.TB, b []byte, coded bool) (data []byte, ended bool) {
	for {
		size, rest, ok := bytes.Cut(b, []byte("\r\n"))
		if !ok {
			return data, false
		}
		n, err := strconv.ParseUint(string(size), 16, 32)
		require.NoError(t, err)
		if n == 0 && len(rest) < 2 {
			return data, false
		}
		if n == 0 {
			require.Equal(t, "\r\n", string(rest))
			return data, true
		}
		if uint64(len(rest)) < n+2 {
			return data, false
		}
		frame := rest[:n]
		if i := bytes.Index(frame, []byte("\n\n")); i >= 0 && !coded {
			require.Equal(t, len(frame)-2, i, "one frame, and nothing else: %q", frame)
		}
		require.Equal(t, "\r\n", string(rest[n:n+2]))
		data, b = append(data, frame...), rest[n+2:]
	}
}

func parse(t testing.TB, b []byte) (out []wire.Event) {
	d := wire.NewDecoder(bytes.NewReader(b), wire.WithMaxEventSize(16<<20))
	for {
		e, err := d.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			require.NoError(t, err)
		}
		out = append(out, e)
	}
}

// hubs says whether the event is the hub's own word.
func hubs(e wire.Event) bool { return e.Event == engine.GapEvent || e.Event == engine.DisconnectEvent }

// data lists the payloads received, without the hub's own events.
func (s *memSink) data(t testing.TB) (out []string) {
	for _, e := range s.events(t) {
		if !hubs(e) {
			out = append(out, e.Data.(string))
		}
	}
	return out
}

// ids lists the IDs received, without the hub's own events, and requires that
// they increase strictly (invariant 2).
func (s *memSink) ids(t testing.TB) (out []uint64) {
	for _, e := range s.events(t) {
		if hubs(e) {
			continue
		}
		id, err := wire.ParseID(e.ID)
		if err != nil {
			require.NoError(t, err) // only now: it costs more than the rest of the loop
		}
		if n := len(out); n > 0 && id <= out[n-1] {
			require.Greater(t, id, out[n-1], "invariant 2: IDs increase strictly")
		}
		out = append(out, id)
	}
	return out
}

func (s *memSink) gaps(t testing.TB) (n int) {
	for _, e := range s.events(t) {
		if e.Event == engine.GapEvent {
			n++
		}
	}
	return n
}

// join subscribes a new sink.
func join(t testing.TB, h *engine.Hub, sub engine.Subscription, room int) *memSink {
	s := newSink(room)
	s.mu.Lock() // the first write waits until sub is set
	defer s.mu.Unlock()
	var err error
	s.t, s.form, s.coding = t, sub.Form, sub.Encoding
	s.sub, err = h.Subscribe(sub, s)
	require.NoError(t, err)
	return s
}

// newHub starts a hub that is closed with the test, and then does not wait long
// for connections that stall. With SPATETEST_BATCHES=1, as make test runs them once, all
// write in batches: nothing may differ.
func newHub(t testing.TB, opts ...engine.HubOption) *engine.Hub {
	h := engine.NewHub(append([]engine.HubOption{engine.WithLogger(testLogger(t)),
		engine.WithDrainTimeout(50 * time.Millisecond), engine.WithSweepBudget(sweepBudget), inBatches()}, opts...)...)
	t.Cleanup(h.Close)
	return h
}

// inBatches is how tests' hubs write.
func inBatches() engine.HubOption {
	if os.Getenv("SPATETEST_BATCHES") != "1" {
		return nil
	}
	return engine.WithBatchWriter(func() (engine.BatchWriter, error) { return &engine.LateWriter{}, nil })
}

func message(data string) *wire.Event { return &wire.Event{Event: "message", Data: data} }

func number(i int) *wire.Event { return message(strconv.Itoa(i)) }

// settled waits until the hub is at rest: every shard has seen every event and
// nothing is pending but for what stalled connections cannot take.
func settled(h *engine.Hub) engine.Stats {
	for {
		if engine.AtRest(h) {
			return h.Stats()
		}
	}
}
