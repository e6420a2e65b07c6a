package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// late is an option for LateWriters that count themselves.
func late(open *int, writers ...*engine.LateWriter) engine.HubOption {
	return engine.WithBatchWriter(func() (engine.BatchWriter, error) {
		if *open == len(writers) {
			return nil, errors.New("no more")
		}
		w := writers[*open]
		w.Opened = open
		*open++
		return w, nil
	})
}

// Each shard has a writer, or none has: which users are served how must not depend on their names.
func TestEachShardHasAWriterOrNone(t *testing.T) {
	open := 0
	first, second := &engine.LateWriter{}, &engine.LateWriter{}
	h := newHub(t, engine.WithShards(3), late(&open, first, second))
	require.Zero(t, open, "writers that are left open")
	var sinks []*memSink
	for i := range 20 {
		sinks = append(sinks, join(t, h, engine.Subscription{UID: fmt.Sprint("u", i)}, -1))
	}
	settled(h)
	require.NoError(t, h.Push(nil, message("one")))
	for _, s := range sinks {
		s.awaitText("one")
	}
	require.Zero(t, first.Batch+second.Batch)
}

func TestOpenThatGivesNothing(t *testing.T) {
	h := newHub(t, engine.WithBatchWriter(func() (engine.BatchWriter, error) { return nil, nil }))
	s := join(t, h, engine.Subscription{}, -1)
	require.NoError(t, h.Push(nil, message("one")))
	s.awaitText("one")
}

// More clients than a batch takes, with more audiences than runs are kept, all get what is theirs, and in batches. The
// LateWriter looks whether a run is changed before it is written.
func TestBatchesOfManyAudiences(t *testing.T) {
	const topics = 12
	open, writer := 0, &engine.LateWriter{}
	h := newHub(t, engine.WithShards(1), late(&open, writer))
	follows := func(client, topic int) bool { return (client+1)>>(topic%9)&1 == 1 }
	var sinks []*memSink
	for i := range 400 { // each with a choice of topics of its own
		var sub engine.Subscription
		for topic := range topics {
			if follows(i, topic) {
				sub.Topics = append(sub.Topics, fmt.Sprint("t", topic))
			}
		}
		sub.Form = engine.Form(i % 2)
		sinks = append(sinks, join(t, h, sub, -1))
	}
	settled(h)
	batch := make([]*wire.Event, topics)
	for round := range 3 {
		for topic := range topics {
			batch[topic] = &wire.Event{Event: "message", Topic: fmt.Sprint("t", topic), Data: fmt.Sprint(round, "/", topic)}
		}
		require.NoError(t, h.Push(nil, batch...))
	}
	settled(h)
	require.NoError(t, h.Push(nil, message("end")))
	for i, s := range sinks {
		s.awaitText("end")
		var want []string
		for round := range 3 {
			for topic := range topics {
				if follows(i, topic) {
					want = append(want, fmt.Sprint(round, "/", topic))
				}
			}
		}
		require.Equal(t, append(want, "end"), s.data(t), i)
	}
	st := settled(h)
	require.Equal(t, st.Pushed, st.Delivered)
	h.Close()
	require.Zero(t, open, "writers that are left open")
	require.Equal(t, engine.MaxBatchWrites, writer.Batch)
}

// A batch is bounded by bytes too, and by what is written meanwhile to those that it is not for: nobody's event waits
// until a whole fan-out is through.
func TestBatchesAreBoundedByWhatTheyCost(t *testing.T) {
	open, writer := 0, &engine.LateWriter{}
	h := newHub(t, engine.WithShards(1), late(&open, writer))
	for range 20 {
		join(t, h, engine.Subscription{}, -1)
	}
	settled(h)
	require.NoError(t, h.Push(nil, message(strings.Repeat("x", 100<<10))))
	settled(h)
	require.Equal(t, 3, writer.Batch, "of 100 KiB each")

	const others = 2000
	writer.Only = join(t, h, engine.Subscription{}, -1)
	for range others {
		join(t, h, engine.Subscription{}, -1)
	}
	settled(h)
	direct := 0
	writer.Flushed = func() { direct = writer.Refused }
	require.NoError(t, h.Push(nil, message("x")))
	settled(h)
	require.Equal(t, others+20, writer.Refused)
	require.Less(t, direct, 300, "it went out when so many others had been written to")
}

// A connection whose rights are taken back while its write waits in the batch gets it, once, and it counts as delivered:
// the event was pushed before.
func TestRevokedWithinABatch(t *testing.T) {
	told := newFailures()
	open := 0
	h := newHub(t, engine.WithShards(1), told.option(), late(&open, &engine.LateWriter{}))
	var sinks []*memSink
	for range 3 {
		sinks = append(sinks, join(t, h, engine.Subscription{UID: "u"}, -1))
	}
	settled(h)
	for _, s := range sinks { // the writer begins with the last
		s.onSend = func([]byte) { sinks[0].sub.Revoke() }
	}
	require.NoError(t, h.Push(nil, message("once")))
	require.ErrorIs(t, sinks[0].awaitClosed(), engine.ErrRevoked)
	for _, s := range sinks {
		s.awaitText("once")
		require.Equal(t, []string{"once"}, s.data(t))
	}
	st := requireSums(t, h)
	require.EqualValues(t, 3, st.Delivered)
	require.Zero(t, st.Failed)
}

// What an embedder's writer gets wrong ends the connections that it concerns, or the writer, and loses nobody else's events.
func TestWriterThatIsNoGood(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(w *engine.LateWriter)
		ends  []int // of three clients
	}{
		{"tells nothing of one", func(w *engine.LateWriter) { w.Silent = []int{1} }, []int{1}},
		{"impossible numbers", func(w *engine.LateWriter) { w.Wrong = []int{0, 2} }, []int{0, 2}},
		{"gives up", func(w *engine.LateWriter) { w.Useless = errors.New("forbidden now") }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			open, writer := 0, &engine.LateWriter{}
			h := newHub(t, engine.WithShards(1), late(&open, writer))
			var sinks []*memSink
			for range 3 {
				sinks = append(sinks, join(t, h, engine.Subscription{}, -1))
			}
			settled(h)
			c.spoil(writer)
			require.NoError(t, h.Push(nil, message("first")))
			settled(h)
			for _, i := range c.ends {
				require.ErrorIs(t, sinks[i].awaitClosed(), engine.ErrSink)
			}
			if writer.Useless != nil {
				require.Zero(t, open, "a writer of no use is closed")
				writer.Batch = 0
			}
			require.NoError(t, h.Push(nil, message("second")))
			for i, s := range sinks {
				if !slices.Contains(c.ends, i) {
					s.awaitText("second")
					require.Equal(t, []string{"first", "second"}, s.data(t))
				}
			}
			require.Equal(t, writer.Useless != nil, writer.Batch == 0)
			requireSums(t, h)
		})
	}
}
