package engine

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/internal/testrace"
)

// The model check of the hand-over between resend and live: every order of the
// steps of publishers, log, retention, reader, shard, clock, sink and a client
// that comes back, up to a depth, over the real state machine with a ring of
// 16 and a window of 8. In each state reached the client must have got every
// event for it, once and in order, or been told of a gap, and a gap only if
// history was lost; and from each, left alone, it must become live.
//
//	SPATETEST_MODEL_DEPTH=9 go test -run 'Model' ./engine    (make model)

// modelAction is one step of somebody. It returns false where it cannot be made.
type modelAction struct {
	name string
	do   func(w *modelWorld) bool
}

var modelActions = []modelAction{
	{"publish", func(w *modelWorld) bool { return w.publish(1) }},
	{"publish3", func(w *modelWorld) bool { return w.publish(3) }},
	{"append", func(w *modelWorld) bool { return w.append(false) }},
	{"append-fails", func(w *modelWorld) bool { return w.append(true) }},
	{"settle", (*modelWorld).settle},
	{"pass", func(w *modelWorld) bool { w.pass(); return true }},
	{"flow3", func(w *modelWorld) bool { // three events all the way
		if !w.publish(3) {
			return false
		}
		w.flow()
		return true
	}},
	{"read", func(w *modelWorld) bool { return w.readPage(nil) }},
	{"read-retain", func(w *modelWorld) bool { return w.readPage(func() { w.retain() }) }},
	{"read-append", func(w *modelWorld) bool { return w.readPage(func() { w.append(false) }) }},
	{"answer", (*modelWorld).answer},
	{"room", func(w *modelWorld) bool { return w.allow(modelFrame + modelFrame/2) }},
	{"room4", func(w *modelWorld) bool { return w.allow(4 * modelFrame) }},
	{"retain", (*modelWorld).retain},
	{"reconnect", func(w *modelWorld) bool { w.hangUp(); w.takeSeat(); w.take(); return true }},
	{"seat", func(w *modelWorld) bool { w.hangUp(); w.takeSeat(); return true }},
	{"take", (*modelWorld).take},
	{"tick", func(w *modelWorld) bool { w.tick(); return true }},
}

var modelSetups = []modelSetup{
	{name: "log", log: true},
	{name: "log, resumes", log: true, old: 14, resumes: true},
	{name: "index", log: true, indexed: true, old: 3},
	{name: "index, resumes", log: true, indexed: true, old: 14, resumes: true},
	{name: "immediate", log: true, immediate: true},
	{name: "log, conflates", log: true, conflate: true, old: 14, resumes: true},
	{name: "log, drops oldest", log: true, policy: PolicyDropOldest, old: 3},
	{name: "log, retries", log: true, policy: PolicyRetry, old: 3},
	{name: "log, resumes, chunked", log: true, old: 14, resumes: true, form: FormChunked},
	{name: "index, chunked", log: true, indexed: true, old: 3, form: FormChunked},
	{name: "ring, retries, chunked", policy: PolicyRetry, old: 3, form: FormChunked},
	{name: "ring, resumes", old: 14, resumes: true},
	{name: "ring, retries", policy: PolicyRetry, old: 3},
	{name: "ring, drops oldest", policy: PolicyDropOldest, old: 3},
	{name: "ring, conflates", policy: PolicyRetry, conflate: true},
	{name: "log, resend off", log: true, noResend: true, old: 14, resumes: true},
	{name: "index, resend off", log: true, indexed: true, noResend: true, old: 3, resumes: true},
	{name: "ring, resend off", noResend: true, old: 3, resumes: true},
	{name: "log, unknown ID", log: true, unknown: true, old: 14, resumes: true},
	{name: "ring, unknown ID", unknown: true, old: 3, resumes: true},
	{name: "log, batches", log: true, batches: true, old: 3, form: FormChunked},
	{name: "ring, retries, batches", policy: PolicyRetry, batches: true, old: 3},
	{name: "log, patient", log: true, patient: true, old: 3},
	{name: "index, patient, resumes", log: true, indexed: true, patient: true, old: 14, resumes: true, form: FormChunked},
	{name: "ring, retries, patient, batches", policy: PolicyRetry, patient: true, batches: true, old: 3},
	{name: "follows, index", follows: true, log: true, indexed: true, old: 14, resumes: true},
	{name: "follows, ring", follows: true, old: 3, resumes: true},
}

// modelDepth is how many steps are explored. Each more takes about eight times
// as long.
func modelDepth(t *testing.T) int {
	if v := os.Getenv("SPATETEST_MODEL_DEPTH"); v != "" {
		n, err := strconv.Atoi(v)
		require.NoError(t, err)
		return n
	}
	if testrace.On {
		return 3 // nothing runs beside anything; what is told by -tags spatecheck is told without the race detector too
	}
	return 4
}

// runModel replays a path. ok is false where its last step cannot be made.
func runModel(setup modelSetup, path []byte) (w *modelWorld, ok bool) {
	w = newModelWorld(setup)
	for _, a := range path {
		if !modelActions[a].do(w) {
			return w, false
		}
	}
	return w, true
}

func pathText(path []byte) string {
	var names []string
	for _, a := range path {
		names = append(names, modelActions[a].name)
	}
	return strings.Join(names, " ")
}

func TestModelOfTheHandOver(t *testing.T) {
	depth := modelDepth(t)
	for _, setup := range modelSetups {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			seen := map[string]bool{}
			frontier := [][]byte{{}}
			for range depth {
				var next [][]byte
				for _, path := range frontier {
					for a := range modelActions {
						longer := append(path[:len(path):len(path)], byte(a))
						w, ok := runModel(setup, longer)
						if !ok {
							w.end()
							continue
						}
						state := w.state()
						if seen[state] && w.failed == nil {
							w.end()
							continue
						}
						seen[state] = true
						w.drain()
						w.end()
						require.Empty(t, w.failed, pathText(longer))
						next = append(next, longer)
					}
				}
				frontier = next
			}
			t.Logf("%d states in %v, %d at depth %d", len(seen), time.Since(start).Round(time.Millisecond), len(frontier), depth)
		})
	}
}

// Random walks go deeper than all orders can be tried.
func TestModelAtRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if v := os.Getenv("SPATETEST_SEED"); v != "" {
		var err error
		seed, err = strconv.ParseUint(v, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("replay with SPATETEST_SEED=%d go test -run '^%s$' ./engine", seed, t.Name())
	walks := 150
	if modelDepth(t) > 4 {
		walks = 20_000
	}
	for _, setup := range modelSetups {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 0))
			for range walks {
				w := newModelWorld(setup)
				var path []byte
				for range 20 + rng.IntN(100) {
					a := byte(rng.IntN(len(modelActions)))
					if modelActions[a].do(w) {
						path = append(path, a)
					}
					if w.failed != nil {
						break
					}
				}
				if w.failed == nil {
					w.drain()
				}
				w.end()
				require.Empty(t, w.failed, pathText(shortest(setup, path)))
			}
		})
	}
}

// shortest leaves out the steps that a failure does not need.
func shortest(setup modelSetup, path []byte) []byte {
	fails := func(path []byte) bool {
		w := newModelWorld(setup)
		for _, a := range path {
			modelActions[a].do(w)
		}
		if w.failed == nil {
			w.drain()
		}
		return w.failed != nil
	}
	for again := fails(path); again; {
		again = false
		for i := range path {
			shorter := append(append([]byte{}, path[:i]...), path[i+1:]...)
			if fails(shorter) {
				path, again = shorter, true
				break
			}
		}
	}
	return path
}

// state describes everything that what comes may depend on.
func (w *modelWorld) state() string {
	var b strings.Builder
	s, c := w.s, w.client
	fmt.Fprint(&b, w.h.ring.Claimed(), s.cursor(), s.oldest(), s.troubled.low, s.mail.Empty(), " ")
	if w.log != nil {
		fmt.Fprint(&b, w.log.last, w.log.floor, len(w.log.recs), w.h.committed(), w.run != nil, w.runErr != nil, " ")
	}
	fmt.Fprint(&b, w.seat != nil, w.stand, w.from, w.lastSeq, w.toldTo, w.sink.room, len(w.sink.buf), " ")
	for p := w.last(); p > 0; p-- {
		e := w.events[p]
		fmt.Fprint(&b, e.failed, e.fate)
	}
	if p := &s.patience; p.waits {
		fmt.Fprint(&b, "from ", p.at, p.bytes, len(p.hasty), s.tired.Load())
	}
	fmt.Fprint(&b, " ", c.state, c.pos, c.id, c.full(), c.flags.Load(), len(s.early.list), len(s.troubled.list), len(s.books.clients))
	if c.owes() {
		fmt.Fprint(&b, " rest ", len(c.lag.rest.B))
	}
	if l := c.lag; l != nil {
		fmt.Fprint(&b, " lag ", l.base, l.fleeting, l.queue.events, l.gap, l.resumes, l.partial)
		if r := l.retry; r.from != 0 {
			fmt.Fprint(&b, " retry ", r.from, r.to, r.marks, r.nextTick-s.tick)
		}
		if h := l.history; h != nil {
			fmt.Fprint(&b, " history ", h.seen, h.asked, h.after, len(h.kept.events), h.kept.flushing, h.retryAt-s.tick)
			for _, seg := range []*segment{h.result, h.segment} {
				if seg != nil {
					fmt.Fprint(&b, " segment ", seg.upTo, seg.floor, len(seg.public.records))
				}
			}
		}
	}
	for _, p := range w.h.catchup.cache.mu.order {
		fmt.Fprint(&b, " page ", p.page.after, p.page.upTo, len(p.page.records))
	}
	fmt.Fprint(&b, " asked ", w.h.catchup.mu.lanes[cheap].queue.size, w.read != nil)
	return b.String()
}
