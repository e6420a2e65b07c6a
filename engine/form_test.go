package engine_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// Connections of either form get the same events, live and from the log, masked
// and not; and a chunk is one frame.
func TestFormsCarryTheSameEvents(t *testing.T) {
	for _, withLog := range []bool{true, false} {
		h := newHub(t, append(logOptions(withLog), engine.WithEnableResendEvents())...)
		sub := engine.Subscription{UID: "u", Topics: []string{"t"}, LastEventID: engine.Earliest}
		pushOfAllKinds(t, h, 20)
		var streams [][]wire.Event
		for _, conflate := range []bool{false, true} {
			for _, form := range []engine.Form{engine.FormPlain, engine.FormChunked} {
				sub.Form, sub.Conflate = form, conflate
				s := join(t, h, sub, -1)
				settled(h)
				streams = append(streams, s.events(t))
			}
		}
		require.Len(t, streams[0], 5*20)
		require.True(t, reflect.DeepEqual(streams[0], streams[1]))
		require.True(t, reflect.DeepEqual(streams[2], streams[3]), "conflated")

		plain := join(t, h, engine.Subscription{UID: "u", Topics: []string{"t"}}, -1)
		chunked := join(t, h, engine.Subscription{UID: "u", Topics: []string{"t"}, Form: engine.FormChunked}, -1)
		pushOfAllKinds(t, h, 30)
		settled(h)
		require.Len(t, plain.events(t), 5*30)
		require.True(t, reflect.DeepEqual(plain.events(t), chunked.events(t)))
	}
}

func logOptions(withLog bool) []engine.HubOption {
	if withLog {
		return []engine.HubOption{engine.WithLog(persist.NewMemory()), engine.WithChanBufferSize(64)}
	}
	return []engine.HubOption{engine.WithChanBufferSize(1024)}
}

// pushOfAllKinds pushes 5n events that concern u, who follows t, and others
// that do not.
func pushOfAllKinds(t *testing.T, h *engine.Hub, n int) {
	for i := range n {
		text := fmt.Sprint(i, strings.Repeat("x", i*i))
		require.NoError(t, h.Push(nil, message(text), &wire.Event{Data: text, Topic: "t"}, &wire.Event{Data: text, Topic: "other"}))
		require.NoError(t, h.Push([]string{"u"}, message(text), &wire.Event{Data: text, Key: "k"}))
		require.NoError(t, h.Push([]string{"v"}, message(text)))
		require.NoError(t, h.Push([]string{"u", "v"}, message(text)))
	}
}

// Invariant 5 in the chunked form: a sink that stops at any byte is owed the
// rest of that one chunk, and what follows goes on behind it.
func TestChunkSentInPartIsCompleted(t *testing.T) {
	const chunk = "26\r\nid: 1234567890123456\nevent: message\ndata: 0\n\n\r\n"
	for room := range 2*len(chunk) + 1 {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(t)
			s := join(t, h, engine.Subscription{Form: engine.FormChunked}, room)
			require.NoError(t, h.Push(nil, number(0), number(1), number(2)))
			synctest.Wait()
			require.Less(t, engine.Footprint(h, s.sub), len(chunk)+6)
			for range 3 * len(chunk) {
				s.allow(1)
				synctest.Wait()
			}
			require.Equal(t, []string{"0", "1", "2"}, s.data(t))
			require.Len(t, s.ids(t), 3)
			_, ended := unchunk(t, s.buf, false)
			require.False(t, ended)
			require.Equal(t, "live", engine.StateOf(h, s.sub))
		})
	}
}

// An orderly end is the disconnect event and the last chunk, once, also where
// the sink takes it byte by byte; a peer that hangs up gets neither.
func TestChunkedStreamEndsWithTheLastChunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		live := join(t, h, engine.Subscription{Form: engine.FormChunked}, -1)
		stuck := join(t, h, engine.Subscription{Form: engine.FormChunked}, 5)
		gone := join(t, h, engine.Subscription{Form: engine.FormChunked}, -1)
		require.NoError(t, h.Push(nil, number(0)))
		gone.sub.Hangup(nil)
		synctest.Wait()
		go h.Close()
		for range 200 {
			synctest.Wait()
			stuck.allow(1)
		}
		h.Close()
		for _, s := range []*memSink{live, stuck} {
			body, ended := unchunk(t, s.buf, false)
			require.True(t, ended, "%q", s.buf)
			require.True(t, bytes.HasSuffix(body, []byte("event: disconnect\ndata: {\"reason\":\"closed\"}\n\n")), "%q", body)
		}
		_, ended := unchunk(t, gone.buf, false)
		require.False(t, ended)
	})
}

// What many connections get is made once for each form: they are handed the same
// bytes in memory, of live events, of pages of history, and of heartbeats.
func TestBytesAreSharedByForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, engine.WithLog(persist.NewMemory()), engine.WithShards(1), engine.WithEnableResendEvents(), engine.WithChanBufferSize(64))
		for i := range 400 {
			require.NoError(t, h.Push(nil, number(i)))
		}
		synctest.Wait()
		var got [2][5][]*byte
		for form := range got {
			for i := range got[form] {
				s := newSink(-1)
				s.onSend = func(p []byte) { got[form][i] = append(got[form][i], unsafe.SliceData(p)) }
				_, err := h.Subscribe(engine.Subscription{Form: engine.Form(form), LastEventID: engine.Earliest}, s)
				require.NoError(t, err)
				synctest.Wait()
			}
		}
		require.NotEmpty(t, got[0][0])
		for form := range got {
			for i := range got[form] {
				pages := len(got[form][i]) - 1 // the last write is from the window, for this client alone
				require.Equal(t, got[form][0][:pages], got[form][i][:pages], "pages")
			}
		}
		got = [2][5][]*byte{}
		require.NoError(t, h.Push(nil, number(0), number(1), number(2)))
		time.Sleep(20 * time.Second)
		synctest.Wait()
		for form := range got {
			require.Len(t, got[form][0], 2, "the events, then a heartbeat")
			for i := range got[form] {
				require.Equal(t, got[form][0], got[form][i])
			}
		}
		require.NotEqual(t, got[0], got[1])
	})
}
