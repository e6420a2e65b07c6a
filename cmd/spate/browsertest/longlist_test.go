package browsertest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// rowsMax is how many rows of a list may be elements at a time, however long the list is.
const rowsMax = 150

// list is the region of a view's list.
func list(view string) string {
	return fmt.Sprintf(`document.querySelector('[data-view=%q] .scroll.tall')`, view)
}

// inAll is whether the list of a view is loaded to its end and has so many rows; with "" it is the number, or "" where the
// end is not known.
func inAll(view, rows string) string {
	text := fmt.Sprintf(`(document.querySelector('[data-view=%q] .pager').textContent.match(/([\d,]+) in all/)?.[1] ?? "")`, view)
	if rows == "" {
		return text
	}
	return text + fmt.Sprintf(` === %q`, rows)
}

// walked is what a walk over a list has seen.
type walked struct {
	Texts []string // of a column, by the numbers of the rows
	Most  int      // elements that were rows at one time
}

// walk scrolls through the list of a view, from its first row to its last, view by view, as fast as the page draws.
func walk(t *testing.T, page tab, view, column string) walked {
	t.Helper()
	page.eval(t, fmt.Sprintf(`(%s.scrollTop = 0, window.walked = { Texts: [], Most: 0, Done: false }, null)`, list(view)), nil)
	for begun := time.Now(); !get[bool](t, page, fmt.Sprintf(walkOn, list(view), column)); {
		require.Less(t, time.Since(begun), 5*patience, "the walk does not end")
	}
	return get[walked](t, page, `({ Texts: [...walked.Texts].map((text) => text ?? "not seen"), Most: walked.Most })`)
}

// walkOn is a part of a walk. It takes a step once rows fill the view.
const walkOn = `(async () => {
	const region = %s;
	const table = region.querySelector("table");
	for (const begun = Date.now(); Date.now() - begun < 1000 && !walked.Done;) {
		await new Promise((done) => setTimeout(done, 0));
		const all = [...table.querySelectorAll("tbody tr:not([hidden])")];
		walked.Most = Math.max(walked.Most, all.length);
		const box = region.getBoundingClientRect();
		const here = all.filter((tr) => { const r = tr.getBoundingClientRect(); return r.bottom > box.top + 1 && r.top < box.bottom - 1; });
		if (here.length === 0 || here.some((tr) => tr.matches(".filler"))) continue;
		for (const tr of here) walked.Texts[tr.ariaRowIndex - 2] = tr.querySelector("td.%s").textContent;
		const end = region.scrollTop + region.clientHeight >= region.scrollHeight - 1;
		if (end) walked.Done = table.getAttribute("aria-rowcount") !== "-1";
		else region.scrollTop += region.clientHeight - 60; // the head covers some
	}
	return walked.Done;
})()`

// pressIn presses a key within the list of a view, where the focus is.
func pressIn(t *testing.T, page tab, view, key string) {
	t.Helper()
	if c, ok := page.(*chromiumTab); ok {
		codes := map[string]string{"End": kb.End, "Home": kb.Home, "ArrowUp": kb.ArrowUp, "ArrowDown": kb.ArrowDown}
		keys(t, c.ctx, codes[key])
		return
	}
	page.eval(t, fmt.Sprintf(`(%s.contains(document.activeElement) && document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: %q, bubbles: true, cancelable: true })), null)`, list(view), key), nil)
}

// checkAxe requires that axe-core finds nothing, where it is there and can be run.
func checkAxe(t *testing.T, page tab, axe string) {
	t.Helper()
	if _, chromium := page.(*chromiumTab); chromium && axe != "" {
		page.eval(t, axe+"; null", nil)
		page.eval(t, strictContrast+", null", nil)
		require.Empty(t, get[[]string](t, page, runAxe))
	}
}

// TestTenThousandTopicsAreOneList: each is there once and in order, and no more rows than are in view are elements.
func TestTenThousandTopicsAreOneList(t *testing.T) {
	const topics = 10_000
	axe := ""
	t.Run("axe", func(t *testing.T) { axe = findAxe(t) }) // skipped where there is none
	inOneBrowser(t, func(t *testing.T, open func() tab) {
		h := startPlain(t, "--no-sync")
		var want []string
		for from := 0; from < topics; from += 500 {
			var events []string
			for i := range 500 {
				want = append(want, fmt.Sprintf("t%05d", from+i))
				events = append(events, fmt.Sprintf(`{"topic":"t%05d","data":"x"}`, from+i))
			}
			post(t, h, `{"events":[`+strings.Join(events, ",")+`]}`)
		}
		page := open()
		page.navigate(t, h.base+"/#topics")
		await(t, page, rows("topics", "topic")+`.length > 20`)
		require.Equal(t, "-1", get[string](t, page, list("topics")+`.querySelector("table").getAttribute("aria-rowcount")`))
		found := walk(t, page, "topics", "topic")
		require.Equal(t, want, found.Texts)
		require.Less(t, found.Most, rowsMax)
		require.Equal(t, strconv.Itoa(topics+1), get[string](t, page, list("topics")+`.querySelector("table").getAttribute("aria-rowcount")`))
		checkAxe(t, page, axe)

		// Begun anew, the End key goes to the last one, whatever was loaded.
		press(t, page, "topics", "Show")
		await(t, page, inAll("topics", "")+` === "" && `+rows("topics", "topic")+`[0] === "t00000"`)
		page.eval(t, `(`+list("topics")+`.focus(), null)`, nil)
		pressIn(t, page, "topics", "End")
		await(t, page, rows("topics", "topic")+`.at(-1) === "t09999"`)
		await(t, page, list("topics")+`.scrollTop > `+list("topics")+`.scrollHeight - 2000`)
	})
}

// manyConnections answers in place of the hub, as a hub with that many connections would.
type manyConnections struct {
	n int

	mu    sync.Mutex
	asked map[string]int // by cursor
	ended map[string]bool
}

func (m *manyConnections) list(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cursor := r.URL.Query().Get("cursor")
	m.asked[cursor]++
	from, _ := strconv.Atoi(cursor)
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	page := struct {
		Connections []map[string]any `json:"connections"`
		Next        string           `json:"next,omitempty"`
	}{Connections: []map[string]any{}}
	for i := from; i < min(from+limit, m.n); i++ {
		if id := fmt.Sprintf("%016x", i); !m.ended[id] {
			page.Connections = append(page.Connections, map[string]any{"id": id, "uid": fmt.Sprintf("u%06d", i), "since": "2026-01-01T00:00:00Z", "state": "live", "topics": 1, "last_id": "5", "waiting_events": 0, "waiting_bytes": 0})
		}
	}
	if from+limit < m.n {
		page.Next = strconv.Itoa(from + limit)
	}
	_ = json.NewEncoder(w).Encode(page)
}

func (m *manyConnections) route(w http.ResponseWriter, r *http.Request, hub http.Handler) {
	id, one := strings.CutPrefix(r.URL.Path, "/connections/")
	if !one {
		hub.ServeHTTP(w, r)
		return
	}
	m.mu.Lock()
	m.ended[id] = true
	m.mu.Unlock()
	_, _ = fmt.Fprint(w, `{"disconnected":1}`)
}

// TestAHundredThousandConnectionsAreOneList: the last one is a key away, what was let go of is asked for again when one
// comes back, keys lead from row to row, and a row that is ended goes without another losing its place.
func TestAHundredThousandConnectionsAreOneList(t *testing.T) {
	axe := ""
	t.Run("axe", func(t *testing.T) { axe = findAxe(t) })
	inOneBrowser(t, func(t *testing.T, open func() tab) {
		many := &manyConnections{n: 100_000, asked: map[string]int{}, ended: map[string]bool{}}
		base := startFront(t, startPlain(t), map[string]func(http.ResponseWriter, *http.Request, http.Handler){"/connections": many.list, "": many.route})
		page := open()
		page.navigate(t, base+"/#connections")
		await(t, page, rows("connections", "uid")+`[0] === "u000000"`)
		elements := func() {
			t.Helper()
			require.Less(t, get[int](t, page, list("connections")+`.querySelectorAll("tbody tr").length`), rowsMax)
		}
		elements()
		// numbered: each row has the number of the connection that it shows.
		numbered := func(skipped int) string {
			return fmt.Sprintf(`((rows) => rows.length > 10 && rows.every((tr) => Number(tr.querySelector("td.uid").textContent.slice(1)) === tr.ariaRowIndex - 2 + %d))
				([...%s.querySelectorAll("tbody tr[aria-rowindex]")])`, skipped, list("connections"))
		}
		focused := `document.activeElement.closest("tr")?.querySelector("td.uid").textContent`

		// The first row's button is the only stop of the Tab key within the list.
		require.Equal(t, 1, get[int](t, page, list("connections")+`.querySelectorAll('button[tabindex="0"]').length`))
		page.eval(t, `(`+list("connections")+`.querySelector('button[tabindex="0"]').focus(), null)`, nil)
		pressIn(t, page, "connections", "ArrowDown")
		await(t, page, focused+` === "u000001"`)
		for range 60 { // beyond what was drawn
			pressIn(t, page, "connections", "ArrowDown")
		}
		await(t, page, focused+` === "u000061"`)
		pressIn(t, page, "connections", "End")
		await(t, page, focused+` === "u099999"`)
		await(t, page, inAll("connections", "100,000"))
		require.True(t, get[bool](t, page, numbered(0)))
		require.Equal(t, "100001", get[string](t, page, list("connections")+`.querySelector("table").getAttribute("aria-rowcount")`))
		elements()
		checkAxe(t, page, axe)
		require.Less(t, get[int](t, page, `document.querySelectorAll("*").length`), 4000)

		// Into the middle, whose pages are not at hand any more.
		page.eval(t, `(`+list("connections")+`.scrollTop = `+list("connections")+`.scrollHeight / 2, null)`, nil)
		await(t, page, numbered(0)+` && /^u0(49|50)/.test(`+rows("connections", "uid")+`[0])`)
		elements()
		require.True(t, get[bool](t, page, `document.activeElement === `+list("connections")), "a row that goes leaves its focus to the list")

		pressIn(t, page, "connections", "Home")
		page.eval(t, `(`+list("connections")+`.scrollTop = 0, null)`, nil)
		await(t, page, rows("connections", "uid")+`[0] === "u000000" && `+numbered(0))
		page.eval(t, list("connections")+`.querySelector("button").click()`, nil)
		page.eval(t, `document.querySelector('#sure [data-part="yes"]').click()`, nil)
		await(t, page, rows("connections", "uid")+`[0] === "u000001" && `+numbered(1)+` && `+inAll("connections", "99,999"))
		await(t, page, focused+` === "u000001"`)
		elements()
	})
}
