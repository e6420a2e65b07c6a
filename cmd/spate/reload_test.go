package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/wire"
)

// hangUp has the hub read its settings again, and waits until it says so.
func (s *serving) hangUp(says string) {
	s.t.Helper()
	before := strings.Count(s.err.String(), says)
	s.hangups <- syscall.SIGHUP
	require.Eventually(s.t, func() bool { return strings.Count(s.err.String(), says) > before }, patience, time.Millisecond, "no %q: %s", says, s.err)
}

// SIGHUP puts other bounds of retention in force, narrower and wider ones, in memory and on disk; events go by the
// narrower ones without a restart.
func TestReloadOfRetention(t *testing.T) {
	for name, where := range map[string]string{"in memory": "memory: true\n", "on disk": "data: " + filepath.Join(t.TempDir(), "log") + "\nno-sync: true\n"} {
		t.Run(name, func(t *testing.T) {
			path := written(t, "hub.yaml", where)
			s := startServe(t, "--config", path)
			stats := func() (r statsReply) {
				_, text := s.get("/stats")
				require.NoError(t, json.Unmarshal([]byte(text), &r), text)
				return r
			}
			push := func(n int) {
				event := `{"topic":"a","data":"` + strings.Repeat("x", 1000) + `"}`
				for range n {
					status, text := s.do("POST", "/push", `{"events":[`+event+strings.Repeat(","+event, 99)+`]}`, "Content-Type", asJSON)
					require.Equal(t, 200, status, text)
				}
			}
			push(20)
			require.EqualValues(t, 2000, stats().Log.Records)
			require.NoError(t, os.WriteFile(path, []byte(where+"retain-count: 200\nretain-topic: [a=age:1h]\n"), 0o600))
			s.hangUp("retain-count: 200")
			require.Eventually(t, func() bool { return stats().Log.Retention.Records == 200 }, patience, time.Millisecond)
			require.EqualValues(t, 3600, stats().Log.Retention.Topics["a"].AgeSeconds)
			push(1)
			require.Eventually(t, func() bool { return stats().Log.Records < 1000 }, patience, time.Millisecond, "records that are kept beyond their bound")
			require.NoError(t, os.WriteFile(path, []byte(where), 0o600))
			s.hangUp("retain-count: 0")
			require.Eventually(t, func() bool { return stats().Log.Retention.Records != 200 && stats().Log.Retention.Topics == nil }, patience, time.Millisecond)
			require.NotContains(t, s.err.String(), "takes a restart")
		})
	}
}

// Settings that are read again and again, good ones and bad ones in turn, disturb no stream and no push; at the end the last
// good ones are in force.
func TestAStormOfReloads(t *testing.T) {
	tokens, token := tokenFile(t, `"admin":true,"read":[">"],"push":{"everyone":true}`)
	base := "memory: true\ntoken-file: " + tokens + "\n"
	path := written(t, "hub.yaml", base)
	s := startServe(t, "--config", path)
	const open = 10
	var reading sync.WaitGroup
	defer reading.Wait()
	var got [open]atomic.Int64
	var wrong atomic.Pointer[string]
	for i := range open {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.base+"/events", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.Equal(t, 200, res.StatusCode)
		defer res.Body.Close()
		reading.Go(func() {
			for d := wire.NewDecoder(res.Body); ; {
				e, err := d.Next()
				if err != nil || e.Event == "disconnect" {
					return
				}
				if e.Data != fmt.Sprint(got[i].Load()) {
					text := fmt.Sprintf("stream %d: %v after %d", i, e.Data, got[i].Load())
					wrong.Store(&text)
				}
				got[i].Add(1)
			}
		})
	}
	stop := make(chan struct{})
	var pushed atomic.Int64
	var pushing sync.WaitGroup
	pushing.Go(func() {
		for ; ; pushed.Add(1) {
			select {
			case <-stop:
				return
			default:
			}
			status, text := s.do("POST", "/push", fmt.Sprintf(`{"events":[{"data":"%d"}]}`, pushed.Load()), append(as(token), "Content-Type", asJSON)...)
			if status != 200 {
				wrong.Store(&text)
				return
			}
		}
	})
	for i := range 60 {
		text := base + fmt.Sprintf("max-connections: %d\nretain-count: %d\nmax-catch-up-bytes: %dKiB\n", 100+i, 1000+i, 1+i)
		if i%3 == 1 {
			text += "max-connections: 1\n" // given twice
		}
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		s.hangups <- syscall.SIGHUP
	}
	s.hangUp("read again")
	close(stop)
	pushing.Wait()
	require.Nil(t, wrong.Load(), "%v", wrong.Load())
	for i := range got {
		require.Eventually(t, func() bool { return got[i].Load() == pushed.Load() }, patience, time.Millisecond, "stream %d", i)
	}
	require.Contains(t, s.err.String(), "max-connections: 159")
	require.Contains(t, s.err.String(), "the settings stay as they were")
	require.Nil(t, wrong.Load(), "%v", wrong.Load())
	require.Equal(t, exitOK, s.stop(), s.err.String())
}
