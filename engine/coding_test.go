package engine_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/compress"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/internal/testrace"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// codings are the encodings that a test's connections may have.
var codings = []string{"", "gzip", "zstd"}

func withCodings() engine.HubOption {
	return engine.WithEncodings(new(compress.Zstd), new(compress.Gzip))
}

// anyForm gives a subscription one of the forms.
func anyForm(sub *engine.Subscription, n int) {
	sub.Form = engine.Form(n % 2)
	sub.Encoding = codings[n/2%len(codings)]
}

// decoded returns what a receiver makes of a coded stream that it has got so far,
// which may end anywhere.
func decoded(t testing.TB, coding string, b []byte) []byte {
	var r io.Reader
	switch coding {
	case "":
		return b
	case "gzip":
		var err error
		r, err = gzip.NewReader(io.MultiReader(bytes.NewReader(new(compress.Gzip).AppendStart(nil)), bytes.NewReader(b)))
		require.NoError(t, err)
	case "zstd":
		d, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1))
		require.NoError(t, err)
		defer d.Close()
		r = d
	}
	body, err := io.ReadAll(r)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		require.NoError(t, err)
	}
	return body
}

// runs returns the events of each run that came of a chunked, coded stream: a run is
// a chunk, and decodes with nothing of those before it.
func (s *memSink) runs(t testing.TB) (out [][]wire.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for b := s.buf; len(b) > 0; {
		head, rest, ok := bytes.Cut(b, []byte("\r\n"))
		require.True(t, ok)
		var n int
		_, err := fmt.Sscanf(string(head), "%x", &n)
		require.NoError(t, err)
		require.Greater(t, len(rest), n+1)
		run := rest[:n]
		b = rest[n+2:]
		var plain []byte
		if s.coding == "gzip" {
			plain, err = io.ReadAll(flate.NewReader(bytes.NewReader(run)))
			require.ErrorIs(t, err, io.ErrUnexpectedEOF) // another block could follow
		} else {
			plain = decoded(t, s.coding, run)
		}
		out = append(out, parse(t, plain))
	}
	return out
}

// Connections of all forms get the same events, live and from history, masked and
// not, conflated and not.
func TestCodedFormsCarryTheSameEvents(t *testing.T) {
	for _, history := range histories {
		t.Run(history.name, func(t *testing.T) {
			h := newHub(t, append(history.opts(), withCodings(), engine.WithChanBufferSize(1024), engine.WithEnableResendEvents())...)
			pushOfAllKinds(t, h, 20)
			for _, conflate := range []bool{false, true} {
				var first, live []wire.Event
				for n := range 6 {
					sub := engine.Subscription{UID: "u", Topics: []string{"t"}, LastEventID: engine.Earliest, Conflate: conflate}
					anyForm(&sub, n)
					s := join(t, h, sub, -1)
					settled(h)
					if n == 0 {
						first = s.events(t)
					}
					require.Equal(t, first, s.events(t), "%+v", sub)
				}
				var sinks []*memSink
				for n := range 6 {
					sub := engine.Subscription{UID: "u", Topics: []string{"t"}, Conflate: conflate}
					anyForm(&sub, n)
					sinks = append(sinks, join(t, h, sub, -1))
				}
				settled(h)
				pushOfAllKinds(t, h, 10)
				settled(h)
				for _, s := range sinks {
					if live == nil {
						live = s.events(t)
						require.NotEmpty(t, live)
					}
					require.Equal(t, live, s.events(t), "%q", s.coding)
				}
				requireSums(t, h)
			}
		})
	}
}

// Invariant 4 against who sees lengths and chooses events (CRIME, BREACH): no run
// codes events of different audiences together, live, from the window, or from the
// log; and what is for one audience is coded together.
func TestNoRunHasTwoAudiences(t *testing.T) {
	for _, history := range histories {
		for _, coding := range codings[1:] {
			for _, marks := range markBudgets {
				t.Run(history.name+" "+coding+", "+marks.name, func(t *testing.T) {
					requireOneAudienceEach(t, coding, append(history.opts(), engine.WithMarkBudget(marks.cost)))
				})
			}
		}
	}
}

// requireOneAudienceEach holds it for the runs of a hub in one coding.
func requireOneAudienceEach(t *testing.T, coding string, opts []engine.HubOption) {
	n := seed(t)
	rng := rand.New(rand.NewPCG(n, 0))
	h := newHub(t, append(opts, withCodings(), engine.WithChanBufferSize(2048), engine.WithEnableResendEvents(), engine.WithShards(1))...)
	sub := engine.Subscription{UID: "u", Topics: []string{"a", "b"}, Form: engine.FormChunked, Encoding: coding}
	live, stalled := join(t, h, sub, -1), join(t, h, sub, 0)
	push := func() {
		for range 120 {
			audience, uids, topic := "all", []string(nil), ""
			switch rng.IntN(6) {
			case 0, 1:
				audience, topic = "a", "a"
			case 2:
				audience, topic = "b", "b"
			case 3:
				audience, uids = "u", []string{"u"}
			case 4:
				audience, uids = "u and v", []string{"u", "v"}
			}
			var events []*wire.Event
			for range 1 + rng.IntN(6) {
				events = append(events, &wire.Event{Data: audience + strings.Repeat("!", rng.IntN(300)), Topic: topic})
			}
			require.NoError(t, h.Push(uids, events...))
		}
	}
	push()
	settled(h)
	stalled.allow(-1)
	sub.LastEventID = engine.Earliest
	resumed := join(t, h, sub, -1)
	settled(h)
	for what, s := range map[string]*memSink{"live": live, "from the window": stalled, "resumed": resumed} {
		events, together := 0, 0
		for _, run := range s.runs(t) {
			for _, e := range run {
				events++
				require.Equal(t, strings.TrimRight(run[0].Data.(string), "!"), strings.TrimRight(e.Data.(string), "!"), what)
			}
			if len(run) > 1 {
				together++
			}
		}
		require.Equal(t, events, len(s.events(t)), what)
		require.NotZero(t, together, what)
	}
	require.Equal(t, live.ids(t), stalled.ids(t))
	require.Equal(t, live.ids(t), resumed.ids(t))
}

// What is coded for one connection alone is bounded for each write, as coding takes
// long: also where a page of the log, being of all kinds, is coded for each.
func TestWhatIsCodedForOneAloneIsBounded(t *testing.T) {
	const events, size = 300, 4 << 10
	n := seed(t)
	rng := rand.New(rand.NewPCG(n, 0))
	h := newHub(t, engine.WithLog(newFakeLog()), withCodings(), engine.WithShards(1), engine.WithChanBufferSize(64), engine.WithEnableResendEvents())
	var want []string
	for range events {
		raw := make([]byte, size/2)
		for i := range raw {
			raw[i] = byte(rng.Uint32())
		}
		want = append(want, fmt.Sprintf("%x", raw))
		require.NoError(t, h.Push(nil, message(want[len(want)-1])))
	}
	settled(h)
	for _, room := range []int{-1, 200_000} { // all at once, and stopped in the middle
		s := newSink(room)
		s.t, s.coding = t, "zstd"
		most := 0
		s.onSend = func(p []byte) { most = max(most, len(p)) }
		s.mu.Lock()
		var err error
		s.sub, err = h.Subscribe(engine.Subscription{Encoding: s.coding, LastEventID: engine.Earliest, StallTimeout: -1}, s)
		s.mu.Unlock()
		require.NoError(t, err)
		settled(h)
		s.allow(-1)
		settled(h)
		require.Equal(t, want, s.data(t))
		require.LessOrEqual(t, most, 64<<10+2*size)
		require.Greater(t, most, 16<<10, "and not one by one")
		requireSums(t, h)
	}
}

// Invariant 5 in the coded forms: a sink that stops at any byte is owed the rest of
// one run, gets it, and then what follows; statistics count each event of it once.
func TestRunSentInPartIsCompleted(t *testing.T) {
	text := strings.Repeat("some text ", 30)
	step := 29
	if testrace.On {
		step *= 5
	}
	for n := 2; n < 6; n++ {
		for room := n; room < 900; room += step {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, withCodings())
				sub := engine.Subscription{UID: "u"}
				anyForm(&sub, n)
				s := join(t, h, sub, room)
				var events []*wire.Event
				for i := range 5 {
					events = append(events, message(fmt.Sprint(i, text)))
				}
				require.NoError(t, h.Push(nil, events...))
				require.NoError(t, h.Push([]string{"u"}, message("mine"+text)))
				synctest.Wait()
				for range 400 {
					requireSums(t, h)
					s.allow(3)
					synctest.Wait()
				}
				require.Equal(t, []string{"0" + text, "1" + text, "2" + text, "3" + text, "4" + text, "mine" + text}, s.data(t))
				require.Equal(t, "live", engine.StateOf(h, s.sub))
				require.EqualValues(t, 6, h.Stats().Delivered)
			})
		}
	}
}

// An orderly end is the disconnect event, and the last chunk, in every form.
func TestCodedStreamEndsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, withCodings())
		var sinks []*memSink
		for n := range 6 {
			for _, room := range []int{-1, 5} {
				sub := engine.Subscription{}
				anyForm(&sub, n)
				sinks = append(sinks, join(t, h, sub, room))
			}
		}
		require.NoError(t, h.Push(nil, number(0)))
		synctest.Wait()
		go h.Close()
		for range 200 {
			synctest.Wait()
			for _, s := range sinks {
				s.allow(1)
			}
		}
		h.Close()
		for _, s := range sinks {
			events := s.events(t)
			require.NotEmpty(t, events)
			require.Equal(t, engine.DisconnectEvent, events[len(events)-1].Event)
			if s.form == engine.FormChunked {
				_, ended := unchunk(t, s.buf, s.coding != "")
				require.True(t, ended)
			}
		}
	})
}

// A heartbeat comes in every form, whole where the sink takes it in pieces.
func TestCodedHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, withCodings(), engine.WithHeartbeat(time.Second))
		for n := 2; n < 6; n++ {
			sub := engine.Subscription{StallTimeout: -1}
			anyForm(&sub, n)
			for _, room := range []int{-1, 4} {
				s := join(t, h, sub, room)
				time.Sleep(5 * time.Second)
				s.allow(-1)
				require.NoError(t, h.Push(nil, message("after")))
				synctest.Wait()
				s.mu.Lock()
				body := s.body(t, bytes.Clone(s.buf))
				s.mu.Unlock()
				require.True(t, bytes.HasPrefix(body, []byte(":\n")), "%q", body)
				require.Equal(t, []string{"after"}, s.data(t))
			}
		}
	})
}

// What an event is coded into is made once for the connections of a shard, whatever
// else each of them gets.
func TestCodedRunsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := &countingCoding{Encoding: new(compress.Zstd)}
		h := newHub(t, engine.WithShards(1), engine.WithEncodings(counted), engine.WithHeartbeat(-1),
			engine.WithLog(persist.NewMemory()), engine.WithEnableResendEvents(), engine.WithChanBufferSize(64))
		sub := engine.Subscription{Encoding: "zstd"}
		join200 := func() {
			for i := range 200 {
				sub.Form, sub.UID, sub.Topics = engine.Form(i%2), fmt.Sprint("u", i), []string{fmt.Sprint("t", i%8)}
				join(t, h, sub, -1)
			}
			synctest.Wait()
		}
		join200()
		counted.bytes = 0
		size := 0
		var events []*wire.Event
		for i := range 16 {
			e := &wire.Event{Data: strings.Repeat("x", 1000)}
			if i%2 == 1 {
				e.Topic = fmt.Sprint("t", i%8)
			}
			size += 1100
			events = append(events, e)
		}
		require.NoError(t, h.Push(nil, events...))
		synctest.Wait()
		require.Less(t, counted.bytes, size)

		for range 300 {
			require.NoError(t, h.Push(nil, message(strings.Repeat("y", 1000))))
		}
		synctest.Wait()
		counted.bytes, sub.LastEventID = 0, engine.Earliest
		join200()
		// Eight kinds of readers, and for each client the end of what it reads.
		require.Less(t, counted.bytes, 8*400*1100+200*3*64<<10)
	})
}

// countingCoding counts what it is given. One shard and its readers use it, in a
// bubble.
type countingCoding struct {
	engine.Encoding
	bytes int
}

func (c *countingCoding) AppendRun(dst, run []byte) []byte {
	c.bytes += len(run)
	return c.Encoding.AppendRun(dst, run)
}

// An encoding that the hub does not have is refused by name; settings that cannot be
// are corrected.
func TestEncodingsAreTheHubs(t *testing.T) {
	h := newHub(t, engine.WithEncodings(nil, new(compress.Zstd), new(compress.Zstd), new(compress.Gzip)))
	require.Len(t, h.Encodings(), 2)
	_, err := h.Subscribe(engine.Subscription{Encoding: "br"}, newSink(-1))
	var wrong *wire.FieldError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "encoding", wrong.Field)
	seat, err := h.Seat(t.Context(), engine.Subscription{Encoding: "gzip"})
	require.NoError(t, err)
	require.False(t, seat.UseEncoding("br"))
	require.True(t, seat.UseEncoding(""))
	require.True(t, seat.UseEncoding("zstd"))
}
