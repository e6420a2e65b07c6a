package sse_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/sse"
)

// Invariant 10 under the old names: two connections of one user both get the user's events, and nobody else does.
func TestPushToUsers(t *testing.T) {
	hub, url := newSite(t)
	_, first := follow(t, hub, url, "u1")
	_, second := follow(t, hub, url, "u1")
	_, other := follow(t, hub, url, "u2")

	mine := &sse.Event{ID: "mine\n", Event: sse.DefaultEventType, Data: map[string]int{"n": 1}}
	require.NoError(t, hub.Push([]string{"u1"}, mine))
	all := &sse.Event{Event: sse.DefaultEventType, Data: "all"}
	require.NoError(t, hub.Push(nil, all))
	for _, events := range []chan *sse.Event{first, second} {
		e := next(t, events)
		require.Equal(t, `{"n":1}`, e.Data)
		require.Equal(t, mine.ID, e.ID, "Push tells the ID that the event was given")
		require.Equal(t, "all", next(t, events).Data)
	}
	require.Equal(t, "all", next(t, other).Data)
	require.Eventually(t, func() bool {
		total, success, failed, timeout := hub.PushStats.Snapshot()
		return total == 5 && success == 5 && failed == 0 && timeout == 0
	}, patience, time.Millisecond)
}

func TestPushRefuses(t *testing.T) {
	hub, _ := newSite(t)
	good := &sse.Event{Event: "a", Data: "x"}
	require.ErrorIs(t, hub.Push([]string{}, good), engine.ErrNoUsers, "an empty list is not everyone")
	require.ErrorIs(t, hub.Push(nil), engine.ErrNoEvents)
	for what, bad := range map[string]*sse.Event{
		"is nil":      nil,
		"has no type": {Data: "x"},
		"has no data": {Event: "a"},
	} {
		require.ErrorContains(t, hub.Push(nil, good, bad), "events[1]: sse: event "+what)
	}
	hub.Close(false)
	require.ErrorIs(t, hub.Push(nil, good), engine.ErrClosed)
}

// mapStore is a Store as users of the library write it.
type mapStore struct {
	sync.Mutex
	events []*sse.Event
}

func (m *mapStore) Save(_ context.Context, e *sse.Event) error {
	m.Lock()
	defer m.Unlock()
	m.events = append(m.events, e)
	return nil
}

func (m *mapStore) ListByLastID(_ context.Context, eventType, lastID string, pageSize int) (page []*sse.Event, next string, err error) {
	m.Lock()
	defer m.Unlock()
	for _, e := range m.events {
		if e.Event != eventType || len(e.ID) < len(lastID) || len(e.ID) == len(lastID) && e.ID <= lastID {
			continue
		}
		if len(page) == pageSize {
			return page, page[pageSize-1].ID, nil
		}
		page = append(page, e)
	}
	return page, "", nil
}

// Invariant 3 over a store of one's own: a client that was away gets what it missed, once.
func TestResumeFromAStore(t *testing.T) {
	hub, url := newSite(t, sse.WithStore(&mapStore{}), sse.WithEnableResendEvents())
	c, events := follow(t, hub, url, "u1")
	require.NoError(t, hub.Push(nil, &sse.Event{Event: sse.DefaultEventType, Data: "seen"}))
	seen := next(t, events)
	c.Disconnect()
	<-c.Wait()
	require.Eventually(t, func() bool { return hub.OnlineClientsNum() == 0 }, patience, time.Millisecond)
	require.NoError(t, hub.Push([]string{"u1"}, &sse.Event{Event: sse.DefaultEventType, Data: "missed"}))
	require.NoError(t, hub.Push([]string{"u2"}, &sse.Event{Event: sse.DefaultEventType, Data: "not for u1"}))

	_, events = follow(t, hub, url, "u1", sse.WithClientHeaders(map[string]string{"Authorization": "Bearer x"}),
		sse.WithClient(resumeAfter(seen.ID)))
	require.NoError(t, hub.Push(nil, &sse.Event{Event: sse.DefaultEventType, Data: "live"}))
	require.Equal(t, "missed", next(t, events).Data)
	require.Equal(t, "live", next(t, events).Data)
}

// A user without a connection is told to the failure callback.
func TestPushFailedCallback(t *testing.T) {
	told := make(chan string, 1)
	hub, _ := newSite(t, sse.WithPushFailedHandleFn(func(uid string, e *sse.Event) { told <- uid + " " + e.Event }))
	require.NoError(t, hub.Push([]string{"nobody"}, &sse.Event{Event: "order", Data: "x"}))
	select {
	case got := <-told:
		require.Equal(t, "nobody order", got)
	case <-time.After(patience):
		require.Fail(t, "the callback was not called")
	}
}

func TestServeNeedsAUser(t *testing.T) {
	_, url := newSite(t)
	resp, err := http.Get(url + "/events")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	require.JSONEq(t, `{"code":400,"msg":"uid is empty","data":{}}`, string(body))

	resp, err = http.Get(url + "/events?uid=u1")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "yes", resp.Header.Get("X-Test"))
}

func TestPushEventHandlerAnswers(t *testing.T) {
	hub, url := newSite(t)
	_, events := follow(t, hub, url, "u1")
	post := func(body string) (int, string) {
		resp, err := http.Post(url+"/push", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(text)
	}
	status, body := post(`{"uids":["u1"],"events":[{"event":"message","data":"hello"}]}`)
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"code":0,"msg":"ok","data":{"ids":["`+next(t, events).ID+`"]}}`, body)

	status, body = post(`{"uids":[],"events":[{"event":"message","data":"hello"}]}`)
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, `"code":400,"data":{},"msg":"uids: is an empty list`)
}

// What an answer says in its header is there in this form of answers too.
func TestPushEventHandlerSaysWhatToDo(t *testing.T) {
	hub := sse.NewHub()
	hub.Close(false)
	r := gin.New()
	r.Any("/push", hub.PushEventHandler())
	ask := func(method string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(method, "/push", strings.NewReader(`{"events":[{"data":"x"}]}`))
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		r.ServeHTTP(rec, req)
		return rec
	}
	rec := ask("POST")
	require.Equal(t, http.StatusServiceUnavailable, rec.Code)
	require.NotEmpty(t, rec.Header().Get("Retry-After"))
	rec = ask("PUT")
	require.Equal(t, http.StatusMethodNotAllowed, rec.Code)
	require.Equal(t, "POST", rec.Header().Get("Allow"))
}

// The hub ends with its context, and Close calls the context's cancel.
func TestContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	hub, _ := newSite(t, sse.WithContext(ctx, cancel))
	hub.Close(false)
	require.Error(t, ctx.Err())

	ctx, cancel = context.WithCancel(context.Background())
	hub, _ = newSite(t, sse.WithContext(ctx, nil))
	cancel()
	require.Eventually(t, hub.Engine().Closed, patience, time.Millisecond)
}
