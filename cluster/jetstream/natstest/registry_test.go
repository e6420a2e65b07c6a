package natstest_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/jetstream"
	"github.com/spatehub/spate/cluster/jetstream/natstest"
	"github.com/stretchr/testify/require"
)

// Invariant 5: a reading of all values takes what there are names, not what there has ever
// been: old values, notes of pushes and questions for the head are not read. What was put
// before the call is there, and what others put during it costs nothing else its place.
func TestValuesAreReadOnceEach(t *testing.T) {
	servers := natstest.Start(t, 1)
	ctx := within(t, time.Minute)
	nc := connect(t, servers.URL())
	s, err := jetstream.Open(ctx, nc, jetstream.WithReplicas(1))
	require.NoError(t, err)
	js, err := natsjs.New(nc)
	require.NoError(t, err)
	const names, rounds, notes = 600, 10, 6000
	subject := func(i int) string {
		return "spate.p." + base64.RawURLEncoding.EncodeToString(fmt.Append(nil, "u", i))
	}
	put := func(m *nats.Msg) {
		_, err := js.PublishMsgAsync(m)
		require.NoError(t, err)
	}
	for round := range rounds {
		for i := range names {
			put(&nats.Msg{Subject: subject(i), Data: fmt.Append(nil, round)})
		}
		for range notes / rounds {
			put(&nats.Msg{Subject: "spate.h", Header: nats.Header{"Spate-Note": {"1"}}, Data: []byte("a push's data")})
		}
		<-js.PublishAsyncComplete()
	}

	calls, last := 0, map[string]string{}
	err = s.Values(ctx, func(v cluster.Value) error {
		if calls++; calls == 1 { // the last ones are put anew before they are read
			for i := range 50 {
				now, err := s.Value(ctx, fmt.Sprint("u", names-1-i))
				require.NoError(t, err)
				require.NoError(t, s.Change(ctx, now.Name, now.Version, []byte("anew"), nil))
			}
		}
		last[v.Name] = string(v.Data)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, names, len(last))
	for name, data := range last {
		require.Contains(t, []string{fmt.Sprint(rounds - 1), "anew"}, data, name)
	}
	require.LessOrEqual(t, calls, names+50)
	st, err := js.Stream(ctx, "spate")
	require.NoError(t, err)
	read := uint64(0)
	for c := range st.ListConsumers(ctx).Info() {
		read = max(read, c.Delivered.Consumer)
	}
	require.NotZero(t, read)
	require.LessOrEqual(t, read, uint64(names+50+100), "of %d messages", names*rounds+notes)
}

// What was on the board before it was asked for is told, also what is posted again
// meanwhile, so that its old text is gone before it was read; and a board that was deleted
// is made again.
func TestPostedTellsWhatIsPostedAgain(t *testing.T) {
	servers := natstest.Start(t, 1)
	ctx := within(t, time.Minute)
	nc := connect(t, servers.URL())
	s, err := jetstream.Open(ctx, nc, jetstream.WithReplicas(1))
	require.NoError(t, err)
	const keys = 1200 // more than a page
	key := func(i int) string { return fmt.Sprintf("key %04d", i) }
	for i := range keys {
		require.NoError(t, s.Post(ctx, key(i), []byte("old"), time.Time{}))
	}
	found := map[string]string{}
	err = s.Posted(ctx, func(k string, text []byte) error {
		if len(found) == 0 {
			for i := keys - 100; i < keys; i++ {
				require.NoError(t, s.Post(ctx, key(i), []byte("new"), time.Time{}))
			}
		}
		found[k] = string(text)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, keys, len(found))
	require.Equal(t, "old", found[key(0)])
	require.Equal(t, "new", found[key(keys-1)])

	stop := errors.New("stop")
	require.ErrorIs(t, s.Posted(ctx, func(string, []byte) error { return stop }), stop)
	require.NoError(t, jetStream(t, servers.URL()).DeleteStream(ctx, "spate-board"))
	eventually(t, func() bool {
		clear(found)
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return s.Posted(try, func(k string, text []byte) error { found[k] = string(text); return nil }) == nil
	})
	require.Empty(t, found)
}
