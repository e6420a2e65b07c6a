package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKeysSurviveKill kills the hub with -9, several times over, while pushes with an Idempotency-Key are sent again until
// they are answered, each some times more than that. Each is published exactly once, and all its answers have the same
// IDs, before and after the kills.
func TestKeysSurviveKill(t *testing.T) {
	const rounds, pushers = 3, 6
	dir := filepath.Join(t.TempDir(), "data")
	h := startProcess(t, "127.0.0.1:0", dir)
	anchor, err := h.push(t.Context(), "anchor")
	require.NoError(t, err)

	var answered atomic.Int64
	var stop atomic.Bool
	var mu sync.Mutex
	known := map[string]string{} // key to ID
	var running sync.WaitGroup
	base := h.base
	for pusher := range pushers {
		running.Go(func() {
			for n := 0; !stop.Load(); n++ {
				key := fmt.Sprintf("pusher-%d-%d", pusher, n)
				for times := 1 + rand.IntN(3); times > 0; {
					id, err := pushOnce(t.Context(), base, key)
					if err != nil {
						<-time.After(time.Millisecond) // the hub is gone for a while
						continue
					}
					times--
					answered.Add(1)
					mu.Lock()
					if had, ok := known[key]; ok && had != id {
						t.Errorf("%s has ID %s, and had %s", key, id, had)
					}
					known[key] = id
					mu.Unlock()
				}
			}
		})
	}
	for range rounds {
		at := answered.Load()
		require.Eventually(t, func() bool { return answered.Load() > at+100 }, patience, time.Millisecond)
		require.NoError(t, h.cmd.Process.Kill())
		_ = h.cmd.Wait()
		h = startProcess(t, strings.TrimPrefix(base, "http://"), dir)
	}
	at := answered.Load()
	require.Eventually(t, func() bool { return answered.Load() > at+100 }, patience, time.Millisecond)
	stop.Store(true)
	running.Wait()
	for key, id := range known {
		again, err := pushOnce(t.Context(), base, key)
		require.NoError(t, err)
		require.Equal(t, id, again)
	}
	last, err := h.push(t.Context(), "the end")
	require.NoError(t, err)
	all := follow(t, base+"/events?last_event_id="+anchor, "")
	all.waitFor(t, last)
	seen := map[string]string{}
	for _, e := range all.seen {
		data := e.Data.(string)
		require.NotContains(t, seen, data, "published twice")
		seen[data] = e.ID
	}
	delete(seen, "the end")
	require.Equal(t, known, seen)
	t.Logf("%d pushes, %d answers, %d kills", len(known), answered.Load(), rounds)
}

// pushOnce pushes the key itself, under that key.
func pushOnce(ctx context.Context, base, key string) (id string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/push", bytes.NewReader(fmt.Appendf(nil, `{"events":[{"data":%q}]}`, key)))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", asJSON)
	req.Header.Set("Idempotency-Key", key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var reply struct{ IDs []string }
	if err := json.NewDecoder(res.Body).Decode(&reply); err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK || len(reply.IDs) != 1 {
		return "", errors.New(res.Status)
	}
	return reply.IDs[0], nil
}

// A full disk is told as such: 507.
func TestBackupWithoutSpace(t *testing.T) {
	require.Equal(t, http.StatusInsufficientStorage, backupRefusal(fmt.Errorf("write: %w", syscall.ENOSPC)).Status)
}
