package natstest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spatehub/spate/cluster/jetstream/natstest"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// reader is a stream at one hub.
type reader struct {
	cancel context.CancelFunc
	got    chan wire.Event // closed when it has ended
}

func listen(t testing.TB, hub *natstest.Hub, query string, header ...string) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, hub.URL+"/events?"+query, nil)
	require.NoError(t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode)
	r := &reader{cancel: cancel, got: make(chan wire.Event, 10_000)}
	go func() {
		defer close(r.got)
		defer res.Body.Close()
		for d := wire.NewDecoder(res.Body); ; {
			e, err := d.Next()
			if err != nil {
				return
			}
			r.got <- e
		}
	}()
	return r
}

// next returns the next event of some type; "" for the stream's end.
func (r *reader) next(t testing.TB) wire.Event {
	t.Helper()
	select {
	case e := <-r.got:
		return e
	case <-time.After(20 * time.Second):
		t.Fatal("no event, and no end")
		return wire.Event{}
	}
}

// call makes a request and reads the answer.
func call[T any](t testing.TB, method, target, body string, header ...string) (status int, answer T) {
	t.Helper()
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, answer
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, answer
	}
	require.NoError(t, json.Unmarshal(text, &answer), "%s", text)
	return res.StatusCode, answer
}

type userReply struct {
	UID         string
	Connections int
	Unanswered  []string
}

type usersReply struct {
	Users      []userReply
	Next       string
	Unanswered []string
}

type clusterReply struct {
	Clients int
	Hubs    []struct {
		Name            string
		Answered, Ready bool
		Clients         int
		Lag             uint64
	}
}

// allUsers reads a list page by page, each of another hub.
func allUsers(t testing.TB, hubs []*natstest.Hub) map[string]int {
	found := map[string]int{}
	for cursor, i := "", 0; ; i++ {
		status, page := call[usersReply](t, "GET", hubs[i%len(hubs)].URL+"/users?limit=2&cursor="+url.QueryEscape(cursor), "")
		require.Equal(t, 200, status)
		require.Empty(t, page.Unanswered)
		for _, u := range page.Users {
			require.NotContains(t, found, u.UID, "is listed twice")
			found[u.UID] = u.Connections
		}
		if cursor = page.Next; cursor == "" {
			return found
		}
	}
}

// Users, connections and ends are those of all hubs, whichever is asked, and a hub that
// does not answer is named. Ephemeral events reach the clients of all.
func TestHubsAreOne(t *testing.T) {
	servers := natstest.Start(t, 1)
	hubs := servers.StartHubs(natstest.Spate(t), 3, "--cluster-replicas", "1")
	all := hubs.Hubs
	var tom []*reader
	for i, h := range all {
		tom = append(tom, listen(t, h, "uid=tom"))
		listen(t, h, fmt.Sprint("uid=u", i))
	}
	names := map[string]bool{}
	eventually(t, func() bool {
		_, c := call[clusterReply](t, "GET", all[1].URL+"/cluster", "")
		clear(names)
		for _, h := range c.Hubs {
			names[h.Name] = h.Answered && h.Ready
		}
		return c.Clients == 6 && len(names) == 3
	})
	require.NotContains(t, names, false)
	want := map[string]int{"tom": 3, "u0": 1, "u1": 1, "u2": 1}
	for i := range all {
		require.Equal(t, want, allUsers(t, append(slices.Clone(all[i:]), all[:i]...)))
		_, u := call[userReply](t, "GET", all[i].URL+"/users/tom", "")
		require.Equal(t, userReply{UID: "tom", Connections: 3}, u)
	}

	status, _ := call[map[string]any](t, "POST", all[0].URL+"/push", `{"events":[{"data":"now","ephemeral":true},{"data":"kept"}]}`)
	require.Equal(t, 200, status)
	for _, r := range tom {
		got := []any{r.next(t).Data, r.next(t).Data}
		require.ElementsMatch(t, []any{"now", "kept"}, got)
	}

	_, list := call[struct {
		Connections []struct{ ID, Hub string }
		Next        string
	}](t, "GET", all[0].URL+"/connections?uid=u2", "")
	for cursor := list.Next; len(list.Connections) == 0; cursor = list.Next {
		require.NotEmpty(t, cursor)
		_, list = call[struct {
			Connections []struct{ ID, Hub string }
			Next        string
		}](t, "GET", all[0].URL+"/connections?uid=u2&cursor="+url.QueryEscape(cursor), "")
	}
	require.Contains(t, names, list.Connections[0].Hub)
	status, _ = call[map[string]any](t, "DELETE", all[0].URL+"/connections/"+list.Connections[0].ID, "")
	require.Equal(t, 200, status)
	status, _ = call[map[string]any](t, "DELETE", all[1].URL+"/connections/"+list.Connections[0].ID, "")
	require.Equal(t, 404, status)

	hubs.Kill(2)
	status, ended := call[struct {
		Disconnected int
		Unanswered   []string
	}](t, "DELETE", all[0].URL+"/users/tom", "")
	require.Equal(t, 200, status)
	require.Equal(t, 2, ended.Disconnected)
	require.Len(t, ended.Unanswered, 1)
	require.Contains(t, names, ended.Unanswered[0])
	for _, r := range tom[:2] {
		require.Equal(t, "disconnect", r.next(t).Event)
	}
	status, problem := call[struct{ Detail string }](t, "DELETE", all[1].URL+"/connections/"+list.Connections[0].ID, "")
	require.Equal(t, 503, status)
	require.Contains(t, problem.Detail, ended.Unanswered[0])
	_, c := call[clusterReply](t, "GET", all[0].URL+"/cluster", "")
	require.Len(t, c.Hubs, 3)
}

// Invariant 13: a push with a key is there once, and has the same IDs, at whichever hub
// it is sent again, also at two at one time, and while hubs are killed with -9.
func TestKeysOfAllHubs(t *testing.T) {
	servers := natstest.Start(t, 1)
	hubs := servers.StartHubs(natstest.Spate(t), 3, "--cluster-replicas", "1")
	var mu sync.Mutex
	known := map[string]string{}
	var stop atomic.Bool
	var running sync.WaitGroup
	var answered atomic.Int64
	once := func(hub *natstest.Hub, key string) bool {
		status, reply := call[struct{ IDs []string }](t, "POST", hub.URL+"/push", fmt.Sprintf(`{"events":[{"data":%q},{"data":"ephemeral","ephemeral":true},{"data":%q}]}`, key, key+"/2"), "Idempotency-Key", key)
		if status != 200 {
			return false
		}
		answered.Add(1)
		mu.Lock()
		defer mu.Unlock()
		ids := strings.Join(reply.IDs, " ")
		if had, is := known[key]; is && had != ids {
			t.Errorf("%s has IDs %s, and had %s", key, ids, had)
		}
		known[key] = ids
		return true
	}
	for pusher := range 6 {
		running.Go(func() {
			for n := 0; !stop.Load(); n++ {
				key := fmt.Sprint("key-", pusher/2, "-", n) // two have the same
				for times, i := 2, pusher; times > 0; i++ {
					if once(hubs.Hubs[i%3], key) {
						times--
					} else {
						<-time.After(5 * time.Millisecond)
					}
				}
			}
		})
	}
	for i := range 3 {
		at := answered.Load()
		eventually(t, func() bool { return answered.Load() > at+50 })
		hubs.Kill(i)
		hubs.Start(i)
	}
	hubs.AwaitReady()
	at := answered.Load()
	eventually(t, func() bool { return answered.Load() > at+50 })
	stop.Store(true)
	running.Wait()
	for key := range known {
		for _, h := range hubs.Hubs {
			eventually(t, func() bool { return once(h, key) })
		}
	}
	status, _ := call[map[string]any](t, "POST", hubs.Hubs[0].URL+"/push", `{"events":[{"data":"another"}]}`, "Idempotency-Key", "key-0-0")
	require.Equal(t, 422, status)
	_, end := call[struct{ IDs []string }](t, "POST", hubs.Hubs[0].URL+"/push", `{"events":[{"data":"end"}]}`)
	for i, h := range hubs.Hubs {
		r := listen(t, h, "last_event_id=earliest")
		seen := map[string]string{}
		for e := r.next(t); e.ID != end.IDs[0]; e = r.next(t) {
			data := e.Data.(string)
			require.NotContains(t, seen, data, "hub %d has it twice", i)
			seen[data] = e.ID
		}
		require.Len(t, seen, 2*len(known), "hub %d", i)
		for key, ids := range known {
			require.Equal(t, ids, seen[key]+"  "+seen[key+"/2"])
		}
	}
	t.Logf("%d keys, %d answers", len(known), answered.Load())
}
