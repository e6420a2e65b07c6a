package browsertest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fewConnections answers in place of the hub with one connection a page, but for pages without any. Cursors are of a
// generation, and those of an earlier one are refused as the hub refuses that of a hub that is gone.
type fewConnections struct {
	pages int
	empty []int
	held  int           // the page whose answer waits, 0 for none
	ready chan struct{} // closed once it is asked for
	free  chan struct{} // it waits for that

	mu         sync.Mutex
	generation int
	rows       int // of each page
}

func (f *fewConnections) list(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	f.mu.Lock()
	generation := f.generation
	f.mu.Unlock()
	at := 0
	if cursor := r.URL.Query().Get("cursor"); cursor != "" {
		of, page, _ := strings.Cut(cursor, "-")
		if of != strconv.Itoa(generation) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprint(w, `{"title":"Service Unavailable","status":503,"detail":"the hub that it stands for does not answer","field":"cursor"}`)
			return
		}
		at, _ = strconv.Atoi(page)
	}
	if f.held > 0 && at == f.held {
		close(f.ready)
		<-f.free
	}
	answer := map[string]any{}
	all := []map[string]any{}
	for i := range f.rows {
		if !slices.Contains(f.empty, at) {
			all = append(all, map[string]any{"id": fmt.Sprintf("%016x", at*f.rows+i), "uid": fmt.Sprintf("g%d-u%04d", generation, at*f.rows+i), "since": "2026-01-01T00:00:00Z", "state": "live", "topics": 1, "last_id": "5", "waiting_events": 0, "waiting_bytes": 0})
		}
	}
	answer["connections"] = all
	if at+1 < f.pages {
		answer["next"] = fmt.Sprintf("%d-%d", generation, at+1)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *fewConnections) open(t *testing.T, open func() tab) tab {
	t.Helper()
	base := startFront(t, startPlain(t), map[string]func(http.ResponseWriter, *http.Request, http.Handler){"/connections": f.list})
	page := open()
	page.navigate(t, base+"/#connections")
	await(t, page, rows("connections", "uid")+`[0] === "g0-u0000"`)
	return page
}

// toBottom is an expression that scrolls the list of connections on, and is whether it has come to its last row.
func toBottom(last string) string {
	return `((list) => (list.scrollTop = list.scrollHeight, ` + rows("connections", "uid") + `.at(-1) === "` + last + `"))(` + list("connections") + `)`
}

// TestAListGoesOnBehindEmptyPages, as a hub of a cluster without a match gives.
func TestAListGoesOnBehindEmptyPages(t *testing.T) {
	inBrowsers(t, func(t *testing.T, open func() tab) {
		few := &fewConnections{pages: 6, rows: 1, empty: []int{1, 3, 4}}
		page := few.open(t, open)
		await(t, page, inAll("connections", "3"))
		require.Equal(t, "g0-u0000,g0-u0002,g0-u0005", get[string](t, page, rows("connections", "uid")+`.join()`))
		press(t, page, "connections", "Reload")
		await(t, page, inAll("connections", "3"))
	})
}

// TestAListBeginsAnewWhereItsCursorIsDead: a reload in its midst would fail for good.
func TestAListBeginsAnewWhereItsCursorIsDead(t *testing.T) {
	inBrowsers(t, func(t *testing.T, open func() tab) {
		few := &fewConnections{pages: 6, rows: 100}
		page := few.open(t, open)
		await(t, page, toBottom("g0-u0599"))
		few.mu.Lock()
		few.generation++
		few.mu.Unlock()
		press(t, page, "connections", "Reload")
		await(t, page, rows("connections", "uid")+`[0] === "g1-u0000"`)
		require.Contains(t, get[string](t, page, `document.querySelector('[data-view="connections"] .pager').textContent`), "begun anew: 503: cursor: ")
		await(t, page, toBottom("g1-u0599"))
	})
}

// TestTheFocusIsNotTakenLate: who has begun to go to the last row and does something else keeps the focus.
func TestTheFocusIsNotTakenLate(t *testing.T) {
	const field = `document.querySelector('[data-view="connections"] [name=uid]')`
	for what, instead := range map[string]struct{ act, focus string }{
		"elsewhere": {field + `.focus()`, field},
		"wheel":     {list("connections") + `.dispatchEvent(new WheelEvent("wheel"))`, list("connections")},
	} {
		t.Run(what, func(t *testing.T) {
			inBrowsers(t, func(t *testing.T, open func() tab) {
				few := &fewConnections{pages: 6, rows: 100, held: 3, ready: make(chan struct{}), free: make(chan struct{})}
				release := sync.OnceFunc(func() { close(few.free) })
				defer release()
				page := few.open(t, open)
				page.eval(t, `(`+list("connections")+`.querySelector('button[tabindex="0"]').focus(), null)`, nil)
				pressIn(t, page, "connections", "End")
				<-few.ready
				page.eval(t, `(`+instead.act+`, null)`, nil)
				release()
				await(t, page, toBottom("g0-u0599"))
				require.True(t, get[bool](t, page, `document.activeElement === `+instead.focus))
			})
		})
	}
}

// TestHistoryKeepsSayingWhatIsMissing: pages behind the one that has the gap say nothing of it.
func TestHistoryKeepsSayingWhatIsMissing(t *testing.T) {
	inBrowsers(t, func(t *testing.T, open func() tab) {
		event := func(id string) string { return `{"id":"` + id + `","time":"2026-01-01T00:00:00Z","data":"x"}` }
		route := func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			gap, more, id := "", "true", "11"
			switch r.URL.Query().Get("after") {
			case "5":
				gap = `,"gap":{"from":"5","to":"10"}`
			case "11":
				more, id = "false", "12"
			}
			_, _ = fmt.Fprintf(w, `{"events":[%s],"next":%q,"more":%s%s}`, event(id), id, more, gap)
		}
		base := startFront(t, startPlain(t), map[string]func(http.ResponseWriter, *http.Request, http.Handler){"/history": route})
		page := open()
		page.navigate(t, base+"/#history")
		await(t, page, inAll("history", "2"))
		warning := `document.querySelector('[data-view="history"] p.bad')`
		require.True(t, get[bool](t, page, warning+`.hidden`))
		fill(t, page, "history", map[string]string{"after": "5"})
		await(t, page, warning+`.textContent !== "" && `+inAll("history", "2"))
		require.Equal(t, "Events after 5 up to 10 may be missing.", get[string](t, page, `(`+warning+`.hidden ? "" : `+warning+`.textContent)`))
		press(t, page, "history", "Reload")
		await(t, page, `!`+warning+`.hidden && `+inAll("history", "2"))
		fill(t, page, "history", map[string]string{"after": ""})
		await(t, page, warning+`.hidden && `+inAll("history", "2"))
	})
}

// TestACommandNamesWhomAnEventWasFor: users and topics whose names read like something else, and no command where not all
// users are told.
func TestACommandNamesWhomAnEventWasFor(t *testing.T) {
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startPlain(t)
		page := open()
		page.navigate(t, h.base+"/#history")
		page.eval(t, `(Object.defineProperty(navigator, "clipboard", { value: { writeText: (text) => (window.copied = text, Promise.resolve()) } }), null)`, nil)
		post(t, h, `{"uids":["none"],"events":[{"topic":"all","data":"private"}]}`)
		post(t, h, `{"uids":["x, y"],"events":[{"data":"comma"}]}`)
		many := make([]string, 150)
		for i := range many {
			many[i] = fmt.Sprintf(`"u%03d"`, i)
		}
		post(t, h, `{"uids":[`+strings.Join(many, ",")+`],"events":[{"data":"many"}]}`)
		const part = `document.querySelector('#detail [data-part="%s"]')`
		users, curl := fmt.Sprintf(part, "users"), fmt.Sprintf(part, "curl")
		shown := func(user, data string) {
			t.Helper()
			fill(t, page, "history", map[string]string{"uid": user, "topics": "all"})
			await(t, page, rows("history", "data")+`.join() === "`+data+`"`)
			page.eval(t, `(document.querySelector("#detail").close(), document.querySelector('[data-view="history"] td.data button').click(), null)`, nil)
		}
		copied := func(body string) {
			t.Helper()
			page.eval(t, `(`+curl+`.click(), null)`, nil)
			require.Contains(t, get[string](t, page, "copied"), "-d '"+body+"'")
		}
		shown("none", "private")
		require.Equal(t, "none", get[string](t, page, users+`.textContent`))
		copied(`{"uids":["none"],"events":[{"topic":"all","data":"private"}]}`)
		shown("x, y", "comma")
		copied(`{"uids":["x, y"],"events":[{"data":"comma"}]}`)
		shown("u000", "many")
		require.Regexp(t, "^u000, .* and 50 more$", get[string](t, page, users+`.textContent`))
		require.True(t, get[bool](t, page, curl+`.hidden`))

		// So also in the list of what comes.
		page.eval(t, `(document.querySelector("#detail").close(), location.hash = "live", null)`, nil)
		await(t, page, live)
		page.eval(t, `(() => { const form = document.querySelector("#follow"); form.elements.uid.value = "none"; form.elements.topics.value = ""; form.requestSubmit(); })()`, nil)
		await(t, page, live+` && spate.subscription.uid === "none"`)
		require.Eventually(t, func() bool { return clients(t, h) == 1 && online(t, h, "none") }, patience, 10*time.Millisecond)
		post(t, h, `{"uids":["none","a, b"],"events":[{"data":"live"}]}`)
		await(t, page, rowWith("live")+`?.querySelector(".users").textContent === "none, a, b" || `+rowWith("live")+`?.querySelector(".users").textContent === "a, b, none"`)
		page.eval(t, `(`+rowWith("live")+`.querySelector("button").click(), null)`, nil)
		page.eval(t, `(`+curl+`.click(), null)`, nil)
		require.Regexp(t, `"uids":\[("none","a, b"|"a, b","none")\]`, get[string](t, page, "copied"))
	})
}

// online says whether a user has a connection.
func online(t *testing.T, h *hub, user string) (is bool) {
	t.Helper()
	res, err := http.Get(h.base + "/users/" + user)
	require.NoError(t, err)
	defer res.Body.Close()
	var u struct{ Online bool }
	require.NoError(t, json.NewDecoder(res.Body).Decode(&u))
	return u.Online
}
