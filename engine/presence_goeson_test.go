package engine_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

func joinOf(uid string) string { return `data: {"uid":"` + uid + `"}` }

// Presence goes on after more have come at a time than one push of a small ring holds.
func TestPresenceOfManyInASmallRing(t *testing.T) {
	const users = 20
	h := newHub(t, engine.WithShards(1), engine.WithChanBufferSize(16), engine.WithPresence("presence"))
	watcher := join(t, h, engine.Subscription{Topics: []string{"presence"}}, -1)
	join(t, h, engine.Subscription{UID: "first"}, -1)
	watcher.awaitText(joinOf("first"))

	const much = 1 << 40
	engine.Hold(h, much) // a push waits for room
	for i := range users {
		join(t, h, engine.Subscription{UID: strconv.Itoa(i)}, -1)
	}
	require.Eventually(t, func() bool { return h.Stats().Clients == users+2 }, time.Minute, time.Millisecond)
	engine.Hold(h, -much)
	for i := range users {
		watcher.awaitText(joinOf(strconv.Itoa(i)))
	}
}

// A user of whom no event can tell, because the hub's bound is so small, keeps nobody
// else from being told of.
func TestPresenceOfAUserWithALongName(t *testing.T) {
	h := newHub(t, engine.WithShards(1), engine.WithMaxEventSize(1<<10), engine.WithPresence("presence"))
	watcher := join(t, h, engine.Subscription{Topics: []string{"presence"}}, -1)
	join(t, h, engine.Subscription{UID: strings.Repeat("\x01", wire.MaxNameLen)}, -1) // 6 bytes each, as JSON
	join(t, h, engine.Subscription{UID: "after"}, -1)
	watcher.awaitText(joinOf("after"))
	require.NotContains(t, strings.Join(watcher.data(t), "\n"), "u0001")
}
