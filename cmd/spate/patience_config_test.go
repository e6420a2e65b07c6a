package main

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/persist"
	"github.com/spatehub/spate/wire"
)

// sunk is a connection that takes everything.
type sunk struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (s *sunk) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.Write(p)
}

func (s *sunk) Close(error) {}

// got is the payloads so far.
func (s *sunk) got() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for line := range strings.Lines(s.data.String()) {
		if data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: "); ok {
			all = append(all, data)
		}
	}
	return strings.Join(all, " ")
}

// What waits for how long is as the flags say: for all connections, or for those that may
// wait; events for users and of urgent topics do not, unless they are to.
func TestWaitingIsAsTheFlagsSay(t *testing.T) {
	for _, c := range []struct {
		flags   string
		patient bool
		got     string // by the end of the pushes, of which the last is "late"
	}{
		{"", true, "public private urgent late"},
		{"--linger 1s", false, "public private"},
		{"--linger 1s --linger-private", false, ""},
		{"--linger 1s --linger-private --urgent-topic alarms.*", false, "public private urgent"},
		{"--linger 1s --urgent-topic other", false, "public private"},
		{"--patience 1s", false, "public private urgent late"},
		{"--patience 1s", true, "public private"},
		{"--patience 1s --urgent-topic other --urgent-topic alarms.>", true, "public private urgent"},
	} {
		synctest.Test(t, func(t *testing.T) {
			config, err := parseWith(environment(), append(strings.Fields(c.flags), "--memory", "--heartbeat", "0")...)
			require.NoError(t, err)
			hub := engine.NewHub(config.hubOptions(slog.New(slog.DiscardHandler), persist.NewMemory())...)
			defer hub.Close()
			s := &sunk{}
			_, err = hub.Subscribe(engine.Subscription{UID: "u", Topics: []string{"alarms.fire"}, Patient: c.patient}, s)
			require.NoError(t, err)
			synctest.Wait()
			push := func(uids []string, topic, data string) {
				require.NoError(t, hub.Push(uids, &wire.Event{Topic: topic, Data: data}))
				synctest.Wait()
			}
			push(nil, "", "public")
			push([]string{"u"}, "", "private")
			push(nil, "alarms.fire", "urgent")
			push(nil, "", "late")
			require.Equal(t, c.got, s.got(), c.flags)
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(t, "public private urgent late", s.got())
		})
	}
}

// The same in a file, and what says nothing, or cannot be, is refused.
func TestSettingsOfWaiting(t *testing.T) {
	path := written(t, "hub.yaml", "linger: 10ms\nlinger-private: true\npatience: 50ms\nurgent-topic: [alarms.>, x]\n")
	c, err := parseWith(environment(), "--config", path)
	require.NoError(t, err)
	require.Equal(t, patienceConfig{10 * time.Millisecond, true, 50 * time.Millisecond, listValue{[]string{"alarms.>", "x"}}}, c.patience)
	for line, want := range map[string]string{
		"--linger 2s":                           "1s or less",
		"--linger -1s":                          "--linger",
		"--patience 1m":                         "1s or less",
		"--linger-private":                      "without --linger",
		"--urgent-topic a":                      "without --linger or --patience",
		"--patience 1ms --urgent-topic a.>.b":   "--urgent-topic",
		"--patience soon":                       "--patience",
		"--linger 1ms --linger-private=perhaps": "--linger-private",
	} {
		_, err := parseWith(environment(), strings.Fields(line)...)
		require.ErrorContains(t, err, want, line)
	}
}
