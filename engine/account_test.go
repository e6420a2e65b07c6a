package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// The statistics against a dumb model: it knows who is connected when each
// event is pushed, and reads what the sinks got. It knows nothing of rings,
// windows and queues, so where an event waits or is lost it takes the hub's
// word, and requires that nothing is counted twice or not at all.

// book is the model.
type book struct {
	t       *testing.T
	h       *engine.Hub
	rng     *rand.Rand
	withLog bool
	batches bool // pushes of several events, and then no connection that an event ends: which of them would end it?
	told    *failures
	patient bool // half of the connections are, and what waits for them is let go now and then only

	clients []*account
	leaving []*account // told why they end: no receivers any more, and yet connected
	gone    []*account

	events     int
	pushed     uint64
	waited     int            // for patient connections, at most
	noReceiver uint64         // of them
	offline    map[string]int // by user and payload: users that were told as offline
}

// account is one connection of the model.
type account struct {
	*memSink
	user     string
	topics   []string
	policy   engine.Policy
	meant    map[string]bool // payloads pushed while it was connected that are for it
	conflate bool
}

var modelTopics = []string{"", "", "a", "b", "c"}

func (b *book) subscribe() {
	a := &account{user: fmt.Sprint("u", b.rng.IntN(6)), meant: map[string]bool{}}
	if b.rng.IntN(5) == 0 {
		a.user = ""
	}
	for _, topic := range []string{"a", "b", "c"} {
		if b.rng.IntN(3) == 0 {
			a.topics = append(a.topics, topic)
		}
	}
	a.policy = engine.Policy(b.rng.IntN(5))
	if b.batches && a.policy == engine.PolicyDisconnect {
		a.policy = engine.PolicyDropOldest
	}
	a.conflate = b.rng.IntN(4) == 0
	sub := engine.Subscription{UID: a.user, Topics: a.topics, Policy: a.policy, Conflate: a.conflate, StallTimeout: -1,
		Patient: b.patient && b.rng.IntN(2) == 0}
	if b.events > 0 && b.rng.IntN(3) == 0 {
		sub.LastEventID = wire.FormatID(b.h.LastID() - uint64(b.rng.IntN(100)))
	}
	anyForm(&sub, b.rng.IntN(6))
	if sub.Encoding == "gzip" {
		sub.Form = engine.FormChunked // else a receiver has an event before its last byte, which says nothing
	}
	room := b.rng.IntN(2000)
	if b.rng.IntN(3) == 0 {
		room = -1
	}
	a.memSink = join(b.t, b.h, sub, room)
	b.clients = append(b.clients, a)
}

func (b *book) push() {
	n := 1
	if b.batches {
		n += b.rng.IntN(8)
	}
	var events []*wire.Event
	for range n {
		b.events++
		e := &wire.Event{Event: "message", Data: fmt.Sprintf("%d.%s", b.events, strings.Repeat("x", b.rng.IntN(50))),
			Topic: modelTopics[b.rng.IntN(len(modelTopics))], Ephemeral: b.rng.IntN(8) == 0}
		if b.rng.IntN(3) == 0 {
			e.Key = fmt.Sprint("k", b.rng.IntN(4))
		}
		events = append(events, e)
	}
	var uids []string
	if b.rng.IntN(2) == 0 {
		for range 1 + b.rng.IntN(4) {
			uids = append(uids, fmt.Sprint("u", b.rng.IntN(8))) // u6, u7 never connect; doubles happen
		}
	}
	require.NoError(b.t, b.h.Push(uids, events...))
	for _, e := range events {
		b.note(uids, e)
	}
}

// note enters an event for everyone that it is for.
func (b *book) note(uids []string, e *wire.Event) {
	reached := map[string]bool{}
	any := false
	for _, a := range b.clients {
		if uids != nil && !slices.Contains(uids, a.user) || e.Topic != "" && !slices.Contains(a.topics, e.Topic) {
			continue
		}
		a.meant[e.Data.(string)] = true
		b.pushed++
		reached[a.user], any = true, true
	}
	if uids == nil {
		if !any {
			b.pushed++
			b.noReceiver++
		}
		return
	}
	uids = slices.Clone(uids)
	slices.Sort(uids)
	for _, u := range slices.Compact(uids) {
		if !reached[u] {
			b.pushed++
			b.noReceiver++
			b.offline[u+" "+e.Data.(string)]++
		}
	}
}

// act does one thing to one connection.
func (b *book) act() {
	connected := append(slices.Clone(b.clients), b.leaving...)
	if len(connected) == 0 {
		return
	}
	a := connected[b.rng.IntN(len(connected))]
	kinds := 10
	if b.patient {
		kinds = 13
	}
	switch b.rng.IntN(kinds) {
	case 0:
		a.sub.Hangup(nil)
	case 1:
		if b.batches {
			return
		}
		a.failWith(errors.New("broken"))
		a.sub.Writable()
	case 2:
		a.allow(-1)
	case 10:
		a.sub.Revoke()
	case 11:
		a.sub.Expire()
	case 12:
		if a.user != "" {
			_, err := b.h.Disconnect(b.t.Context(), engine.Disconnection{UID: a.user})
			require.NoError(b.t, err)
		}
	default:
		a.allow(b.rng.IntN(3000))
	}
}

// rest lets the hub come to rest, takes out who has been closed, and compares.
func (b *book) rest() {
	st, waits := b.settle()
	b.clients = slices.DeleteFunc(b.clients, func(a *account) bool {
		leaves := engine.StateOf(b.h, a.sub) == "leaving"
		if leaves {
			b.leaving = append(b.leaving, a)
		}
		return leaves || b.isGone(a)
	})
	b.leaving = slices.DeleteFunc(b.leaving, b.isGone)
	connected := len(b.clients) + len(b.leaving)
	require.Equal(b.t, connected, st.Clients)
	require.Equal(b.t, connected, b.h.OnlineClientsNum())
	require.EqualValues(b.t, len(b.gone), endsSum(st), "every end is counted once: %+v", st.Ends)
	require.EqualValues(b.t, b.events, st.Events)
	require.Equal(b.t, b.noReceiver, st.NoReceiver)
	if !b.withLog && !waits {
		require.Equal(b.t, b.pushed, st.Pushed)
	} else {
		// What a connection that reads the log has not come to is not counted yet, nor what
		// waits for one that is patient.
		require.LessOrEqual(b.t, st.Pushed, b.pushed)
	}
}

// settle lets the hub come to rest, and seldom lets go what waits for patient connections.
func (b *book) settle() (st engine.Stats, waits bool) {
	if !b.patient {
		return requireSums(b.t, b.h), false
	}
	for !engine.AtRestButPatient(b.h) {
	}
	if b.rng.IntN(30) == 0 {
		return requireSums(b.t, b.h), false
	}
	require.NoError(b.t, engine.Audit(b.h))
	waited := engine.Waiting(b.h)
	b.waited = max(b.waited, waited)
	return b.h.Stats(), waited > 0
}

// isGone notes a connection that has been closed.
func (b *book) isGone(a *account) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed > 0 {
		b.gone = append(b.gone, a)
	}
	return a.closed > 0
}

// all lists every connection there was.
func (b *book) all() []*account { return slices.Concat(b.clients, b.leaving, b.gone) }

// compare reads the streams.
func (b *book) compare() {
	st := requireSums(b.t, b.h)
	var live, resent, gaps uint64
	for _, a := range b.all() {
		seen := map[string]bool{}
		last := uint64(0)
		events := a.events(b.t)
		for i, e := range events {
			data := e.Data.(string)
			switch {
			case e.Event == engine.DisconnectEvent:
				require.Equal(b.t, len(events)-1, i, "the last event of its stream")
				continue
			case e.Event == engine.GapEvent:
				gaps++
				continue
			case a.meant[data]:
				live++
			default:
				resent++
			}
			require.False(b.t, seen[data], "%s came twice", data)
			seen[data] = true
			id, err := wire.ParseID(e.ID)
			if e.ID == "" { // ephemeral, before the first that has an ID
				continue
			}
			require.NoError(b.t, err)
			require.GreaterOrEqual(b.t, id, last)
			last = id
		}
	}
	require.Equal(b.t, live, st.Delivered, "%+v", st)
	require.Equal(b.t, resent, st.Resent, "%+v", st)
	require.LessOrEqual(b.t, gaps, st.Gaps, "those still waiting are counted")
}

// compareTold requires that the callback was told of each loss once: of what a
// connection was meant to get and did not, and of users without a connection.
func (b *book) compareTold() {
	synctest.Wait()
	told, want := map[string]int{}, maps.Clone(b.offline)
	for _, f := range b.told.await(0) {
		told[f.uid+" "+f.ev.Data.(string)]++
	}
	missed := func(unsure bool, fn func(key string)) {
		for _, a := range b.all() {
			// A frame cut short by the end is told only if the window still has it.
			end := "\n\n"
			if a.form == engine.FormChunked {
				end += "\r\n" // of the chunk that the frame is: without it the reader has none of it
			}
			cut := a.closed > 0 && (a.coding != "" || !bytes.HasSuffix(a.buf, []byte(end)))
			if unsure != (a.conflate || cut) {
				continue
			}
			got := a.data(b.t)
			for data := range a.meant {
				if !slices.Contains(got, data) {
					fn(a.user + " " + data)
				}
			}
		}
	}
	missed(false, func(key string) { want[key]++ })
	missed(true, func(key string) {
		if want[key] < told[key] { // else a newer one came instead
			want[key]++
		}
	})
	maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
	require.Equal(b.t, want, told)
}

// Statistics add up at every rest, and each counter is the model's where the
// model can know it.
func TestStatisticsAgainstModel(t *testing.T) {
	for _, history := range histories {
		t.Run(history.name, func(t *testing.T) {
			n := seed(t)
			for round := range 6 {
				synctest.Test(t, func(t *testing.T) {
					b := &book{t: t, rng: rand.New(rand.NewPCG(n, uint64(round))), told: newFailures(), withLog: history.name == "log", batches: round%2 == 0}
					b.run(append(history.opts(), withCodings(), engine.WithMarkBudget(markBudgets[round/2].cost), engine.WithLinger(time.Duration(round%2)*time.Second, nil), b.told.option(), engine.WithEnableResendEvents(), engine.WithShards(1+round%3),
						engine.WithChanBufferSize(64), engine.WithQueueBytes(3000), engine.WithPushTimeout(5*time.Second, 1+round%3)))
				})
			}
		})
	}
}

func (b *book) run(opts []engine.HubOption) {
	t := b.t
	b.h = newHub(t, opts...)
	b.offline = map[string]int{}
	for range 700 {
		switch {
		case len(b.clients) < 3 || len(b.clients) < 12 && b.rng.IntN(20) == 0:
			b.subscribe()
		case b.rng.IntN(4) == 0:
			b.act()
		case b.rng.IntN(6) == 0:
			time.Sleep(time.Duration(b.rng.IntN(3000)) * time.Millisecond)
			synctest.Wait()
		default:
			b.push()
		}
		b.rest()
	}
	b.compare()
	for _, a := range append(slices.Clone(b.clients), b.leaving...) {
		a.allow(-1)
	}
	b.rest()
	require.Empty(t, b.leaving)
	st := b.h.Stats()
	require.Zero(t, st.Pending)
	b.compare()
	if !b.withLog {
		b.compareTold()
	}
}

// So do they where connections wait patiently while others come, stall, break, and are
// ended.
func TestStatisticsOfPatientConnectionsAgainstModel(t *testing.T) {
	for _, history := range histories {
		t.Run(history.name, func(t *testing.T) {
			n, waited := seed(t), 0
			for round := range 6 {
				synctest.Test(t, func(t *testing.T) {
					b := &book{t: t, rng: rand.New(rand.NewPCG(n, uint64(round))), told: newFailures(), withLog: history.name == "log", batches: round%2 == 0, patient: true}
					b.run(append(history.opts(), withCodings(), engine.WithPatience(time.Second), b.told.option(), engine.WithEnableResendEvents(), engine.WithShards(1+round%3),
						engine.WithLinger(0, func(_ bool, topic string) bool { return topic == "c" && round%3 == 0 }),
						engine.WithChanBufferSize(64<<(round%3)), engine.WithQueueBytes(3000), engine.WithPushTimeout(5*time.Second, 1+round%3)))
					waited = max(waited, b.waited)
				})
			}
			require.Greater(t, waited, 5, "so many waited at a time")
		})
	}
}

// A user's event that reached nobody is counted once for each such user, one
// for everyone once, whatever the number of shards.
func TestNoReceiverIsCountedOncePerAudience(t *testing.T) {
	for _, shards := range []int{1, 5, 64} {
		h := newHub(t, engine.WithShards(shards), engine.WithLog(persist.NewMemory()))
		require.NoError(t, h.Push(nil, message("everyone")))
		require.NoError(t, h.Push([]string{"a", "b", "a"}, message("two users")))
		require.NoError(t, h.Push(nil, &wire.Event{Topic: "nobody's", Data: "x"}))
		s := join(t, h, engine.Subscription{UID: "a", Topics: []string{"t"}}, -1)
		settled(h)
		require.NoError(t, h.Push(nil, &wire.Event{Topic: "t", Data: "x"}, &wire.Event{Topic: "u", Data: "x"}))
		require.NoError(t, h.Push([]string{"a", "b"}, message("one of two")))
		_, err := h.Publish(context.Background(), []string{"a"}, &wire.Event{Topic: "u", Data: "x"})
		require.NoError(t, err)
		st := requireSums(t, h)
		require.EqualValues(t, 1+2+1+1+1+1, st.NoReceiver)
		require.EqualValues(t, 2, st.Delivered)
		require.EqualValues(t, 9, st.Pushed)
		require.Len(t, s.ids(t), 2)
	}
}
