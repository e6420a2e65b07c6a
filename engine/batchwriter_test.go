package engine_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// A shard without a writer of batches writes by itself, and says so once.
func TestWithoutBatchesEachWriteIsACall(t *testing.T) {
	asked := 0
	h := newHub(t, engine.WithShards(4), engine.WithBatchWriter(func() (engine.BatchWriter, error) {
		asked++
		return nil, errors.New("none here")
	}))
	require.Equal(t, 1, asked)
	s := join(t, h, engine.Subscription{}, -1)
	require.NoError(t, h.Push(nil, message("one")))
	s.awaitText("one")
}

// Each shard has a writer of its own, which is closed with the hub; more clients than a batch takes, with more audiences
// than runs are kept, all get what is theirs. The LateWriter looks whether a run is changed before it is written.
func TestBatchesOfManyAudiences(t *testing.T) {
	open := 0
	writer := &engine.LateWriter{Opened: &open}
	h := newHub(t, engine.WithShards(1), engine.WithBatchWriter(func() (engine.BatchWriter, error) {
		open++
		return writer, nil
	}))
	const topics = 12
	var sinks []*memSink
	for i := range 400 { // each with a choice of topics of its own
		var sub engine.Subscription
		for topic := range topics {
			if (i+1)>>(topic%9)&1 == 1 {
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
				if (i+1)>>(topic%9)&1 == 1 {
					want = append(want, fmt.Sprint(round, "/", topic))
				}
			}
		}
		require.Equal(t, append(want, "end"), s.data(t), i)
	}
	st := settled(h)
	require.Equal(t, st.Pushed, st.Delivered)
	h.Close()
	require.Zero(t, open, "writers that are left")
	require.Equal(t, engine.MaxBatchWrites, writer.Batch)
}
