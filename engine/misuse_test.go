package engine_test

import (
	"io"
	"math"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// liar is a sink that takes what room says, and then tells another number.
type liar struct {
	*memSink
	told func(offered, taken int) (int, error)
}

func (l *liar) Write(p []byte) (int, error) {
	n, err := l.memSink.Write(p)
	if err != nil {
		return n, err
	}
	return l.told(len(p), n)
}

// A sink that tells a number which cannot be ends its connection, wherever it is
// asked, and nobody else's.
func TestSinkThatTellsImpossibleNumbers(t *testing.T) {
	for name, lie := range map[string]func(offered, taken int) (int, error){
		"more than was offered": func(offered, taken int) (int, error) { return offered + 1, nil },
		"less than none":        func(offered, taken int) (int, error) { return -1, nil },
		"the most":              func(offered, taken int) (int, error) { return math.MaxInt, nil },
		"the least":             func(offered, taken int) (int, error) { return math.MinInt, nil },
		"with an error":         func(offered, taken int) (int, error) { return -1, io.ErrClosedPipe },
	} {
		for _, at := range []string{"live", "rest", "history", "last word"} {
			t.Run(name+", "+at, func(t *testing.T) {
				h := newHub(t, engine.WithShards(1), engine.WithLog(persist.NewMemory()), engine.WithEnableResendEvents())
				other := join(t, h, engine.Subscription{}, -1)
				first := pushN(t, h, 3)[0]
				writes, honest := 0, map[string]int{"rest": 1}[at]
				l := &liar{memSink: newSink(-1)}
				l.told = func(offered, taken int) (int, error) {
					if writes++; writes <= honest {
						return taken, nil
					}
					return lie(offered, taken)
				}
				sub := engine.Subscription{}
				switch at {
				case "rest":
					l.room = 5
				case "history":
					sub.LastEventID = wire.FormatID(first)
				}
				l.mu.Lock()
				s, err := h.Subscribe(sub, l)
				l.sub = s
				l.mu.Unlock()
				require.NoError(t, err)
				if at == "last word" {
					settled(h)
					s.Expire()
				} else {
					require.NoError(t, h.Push(nil, message("a")))
				}
				if at == "rest" {
					l.awaitText("id:")
					l.allow(-1)
				}
				reason := l.awaitClosed()
				if at != "last word" {
					require.ErrorIs(t, reason, engine.ErrSink)
					if name == "with an error" {
						require.ErrorIs(t, reason, io.ErrClosedPipe)
					}
				}
				require.NoError(t, h.Push(nil, message("the others go on")))
				other.awaitText("the others go on")
				require.Less(t, h.Stats().SentBytes, uint64(1<<20))
			})
		}
	}
}

// What cannot be a connection is said to who asks for one, not by the shard's end.
func TestSeatsThatCannotBe(t *testing.T) {
	h := newHub(t)
	_, err := h.Subscribe(engine.Subscription{Form: engine.FormChunked + 1}, newSink(-1))
	var fe *wire.FieldError
	require.ErrorAs(t, err, &fe)
	require.Equal(t, "form", fe.Field)
	require.PanicsWithValue(t, "engine: a seat is taken with a nil sink", func() { _, _ = h.Subscribe(engine.Subscription{}, nil) })
	seat := seatOf(t, h, engine.Subscription{})
	require.Panics(t, func() { _, _ = seat.Take(nil) })
	s := take(t, seat, -1) // it is still there to be taken
	require.NoError(t, h.Push(nil, message("here")))
	s.awaitText("here")
	require.EqualValues(t, 1, h.Stats().Clients)
}

// Settings that contradict each other are said.
func TestSettingsThatContradict(t *testing.T) {
	var out logBuffer
	log, store := persist.NewMemory(), persist.NewMemory()
	h := newHub(t, engine.WithLogger(out.logger()), engine.WithStore(store), engine.WithLog(log),
		engine.WithMaxConnectionAge(time.Hour, math.NaN(), 0, 0))
	require.Contains(t, out.String(), "WithStore gives is left out beside WithLog")
	require.Contains(t, out.String(), `setting="jitter of the connection age" given=NaN used=`)
	require.NotContains(t, out.String(), "used=NaN")
	require.NoError(t, h.Push(nil, message("kept")))
	require.NotZero(t, log.Last())
	require.Zero(t, store.Last())
	require.NoError(t, store.Close())
}
