package browsertest_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHistoryIsOneList: from the oldest, from an ID, since a time, by topic and user; each page of the hub goes on where the
// last ended.
func TestHistoryIsOneList(t *testing.T) {
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startPlain(t)
		pushMany(t, h, 250, "orders.7")
		post(t, h, `{"uids":["ann"],"events":[{"data":"for ann alone"}]}`)
		post(t, h, `{"events":[{"topic":"a.b","data":"{\"deep\":[1]}"}]}`)
		page := open()
		page.navigate(t, h.base+"/#history")
		await(t, page, inAll("history", "")+` === "" && `+rows("history", "id")+`.length > 0`) // there is more than one page
		walked := walk(t, page, "history", "id")
		seen := walked.Texts
		require.Len(t, seen, 251)
		for i := 1; i < len(seen); i++ {
			require.Negative(t, compareIDs(seen[i-1], seen[i]))
		}

		fill(t, page, "history", map[string]string{"after": seen[248]})
		await(t, page, rows("history", "id")+`.join() === "`+strings.Join(seen[249:], ",")+`"`)
		fill(t, page, "history", map[string]string{"after": "", "since": "1h", "topics": "a.*"})
		await(t, page, rows("history", "topic")+`.join() === "a.b"`)
		page.eval(t, `document.querySelector('[data-view="history"] td.data button').click()`, nil)
		page.eval(t, `document.querySelector('[data-part="form"]').click()`, nil)
		require.Equal(t, "{\n  \"deep\": [\n    1\n  ]\n}", get[string](t, page, `document.querySelector('#detail [data-part="data"]').textContent`))
		page.eval(t, `document.querySelector("#detail").close()`, nil)
		fill(t, page, "history", map[string]string{"since": "", "topics": "", "uid": "ann"})
		await(t, page, rows("history", "data")+`.join() === "for ann alone"`)
		fill(t, page, "history", map[string]string{"since": "soon"})
		await(t, page, `/400: since: must be a time/.test(document.querySelector('[data-view="history"] .pager').textContent)`)
	})
}

// TestTopicsAreListed: thousands of topics, with who follows them.
func TestTopicsAreListed(t *testing.T) {
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startPlain(t, "--retain-topic", "t00001=count:7")
		const topics = 2500
		for from := 0; from < topics; from += 500 {
			var events []string
			for i := range 500 {
				events = append(events, fmt.Sprintf(`{"topic":"t%05d","data":"x"}`, from+i))
			}
			post(t, h, `{"events":[`+strings.Join(events, ",")+`]}`)
		}
		post(t, h, `{"events":[{"topic":"t00001","data":"again"}]}`)
		connect(t, h, 2, "topic=t00001&topic=*")
		connect(t, h, 1, "topic=>")
		page := open()
		page.navigate(t, h.base+"/#topics")
		row := `[...document.querySelectorAll('[data-view="topics"] tbody tr')].find((tr) => tr.textContent.startsWith("t00001"))`
		await(t, page, live)
		press(t, page, "topics", "Reload") // the page has its own stream now
		await(t, page, row+`.querySelector(".subscribers").textContent === "4"`)
		require.Equal(t, "2", get[string](t, page, row+`.querySelector(".count").textContent`))
		require.Regexp(t, `^2, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`, get[string](t, page, row+`.querySelector(".kept").textContent`))
		require.Equal(t, "7 events", get[string](t, page, row+`.querySelector(".retention").textContent`))
		await(t, page, row+`.getAttribute("aria-rowindex") === "3"`)
		fill(t, page, "topics", map[string]string{"match": "t02499"})
		await(t, page, rows("topics", "topic")+`.join() === "t02499"`)
	})
}

// TestSettingsSayWhereTheyAreFrom: what is in force, and no secret.
func TestSettingsSayWhereTheyAreFrom(t *testing.T) {
	inBrowsers(t, func(t *testing.T, open func() tab) {
		config := filepath.Join(t.TempDir(), "hub.yaml")
		require.NoError(t, os.WriteFile(config, []byte("heartbeat: 7s\n"), 0o600))
		t.Setenv("SPATE_RETRY", "4s")
		h := startPlain(t, "--config", config)
		page := open()
		page.navigate(t, h.base+"/#settings")
		line := func(name string) string {
			return fmt.Sprintf(`[...document.querySelectorAll('[data-view="settings"] tbody tr')].filter((tr) => tr.cells[0].textContent === %q).map((tr) => tr.cells[1].textContent + " from " + tr.cells[2].textContent).join()`, name)
		}
		await(t, page, rows("settings", "name")+`.length > 50`)
		require.Equal(t, "4s from SPATE_RETRY", get[string](t, page, line("retry")))
		require.Regexp(t, `^7s from .*hub\.yaml.*1$`, get[string](t, page, line("heartbeat")))
		require.Equal(t, "4096 from default", get[string](t, page, line("buffer")))
		require.Equal(t, "127.0.0.1:0 from flag", get[string](t, page, line("listen")))
		page.eval(t, `document.querySelector('[data-view="settings"] [name=given]').click()`, nil)
		await(t, page, rows("settings", "name")+`.join() === "data,heartbeat,listen,retry"`)
	})
}

// asking puts credentials on what a browser asks the hub for.
func asking(t *testing.T, h *hub, token string) string {
	t.Helper()
	as := func(w http.ResponseWriter, r *http.Request, hub http.Handler) {
		r.Header.Set("Authorization", "Bearer "+token)
		hub.ServeHTTP(w, r)
	}
	routes := map[string]func(http.ResponseWriter, *http.Request, http.Handler){"": as}
	return startFront(t, h, routes)
}

// TestWhoMayReadAloneIsOfferedNothingElse: the page of a reader follows what its grant has, and has no view of what the
// hub would refuse.
func TestWhoMayReadAloneIsOfferedNothingElse(t *testing.T) {
	const reader = "spate_reader6789abcdefghijklmnopqrstuvwxyzABCDEFG"
	inBrowsers(t, func(t *testing.T, open func() tab) {
		tokens := filepath.Join(t.TempDir(), "tokens.json")
		require.NoError(t, os.WriteFile(tokens, fmt.Appendf(nil, `{"tokens":[{"hash":"sha256:%x","id":"r","user":"tom","read":["orders.*"]}, {"hash":"sha256:%x","id":"p","push":{"topics":["orders.*"]}}]}`,
			sha256.Sum256([]byte(reader)), sha256.Sum256([]byte("spate_pusher6789abcdefghijklmnopqrstuvwxyzABCDEFG"))), 0o600))
		h := startPlain(t, "--token-file", tokens)
		page := open()
		page.navigate(t, asking(t, h, reader)+"/")
		await(t, page, live)
		require.Equal(t, []string{"Live", "History"}, get[[]string](t, page, `[...document.querySelectorAll("#views a")].filter((a) => !a.hidden).map((a) => a.textContent)`))
		require.True(t, get[bool](t, page, shown("live")))
		require.Equal(t, map[string]any{"uid": "tom", "topics": []any{"orders.*"}}, get[map[string]any](t, page, `spate.subscription`))
		page.eval(t, `(location.hash = "#connections", null)`, nil) // by hand
		await(t, page, shown("live"))
		require.False(t, get[bool](t, page, shown("connections")))
		require.False(t, get[bool](t, page, `[...document.querySelectorAll("button")].some((b) => b.checkVisibility() && /Disconnect|Push$/.test(b.textContent))`))

		req, err := http.NewRequest(http.MethodPost, h.base+"/push", strings.NewReader(`{"events":[{"topic":"orders.1","data":"for the reader"}]}`))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer spate_pusher6789abcdefghijklmnopqrstuvwxyzABCDEFG")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		res.Body.Close()
		require.Equal(t, http.StatusOK, res.StatusCode)
		await(t, page, rowWith("for the reader"))
		show(t, page, "history")
		await(t, page, rows("history", "topic")+`.join() === "orders.1"`)
	})
}

// transferMax is how many bytes the page may take until it shows something.
const transferMax = 200_000

// TestLittleIsTransferredAtFirst counts all that a browser which has nothing yet is sent until the page stands, worker and
// figures of a quarter of an hour included.
func TestLittleIsTransferredAtFirst(t *testing.T) {
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startPlain(t)
		var sum atomic.Int64
		var mu sync.Mutex
		sizes := map[string]int{}
		base := startFront(t, h, map[string]func(http.ResponseWriter, *http.Request, http.Handler){
			"": func(w http.ResponseWriter, r *http.Request, hub http.Handler) {
				counting := &countingWriter{ResponseWriter: w, sum: &sum}
				hub.ServeHTTP(counting, r)
				mu.Lock()
				sizes[r.URL.Path] += counting.n
				mu.Unlock()
			},
		})
		page := open()
		page.navigate(t, base+"/")
		await(t, page, shown("overview")+` && `+live+` && `+figure("clients")+` === "1"`)
		mu.Lock()
		defer mu.Unlock()
		t.Logf("%d bytes: %v", sum.Load(), sizes)
		require.NotZero(t, sizes["/ui/main.js"])
		require.NotZero(t, sizes["/overview"])
		require.Less(t, int(sum.Load()), transferMax-firstLook)
	})
}

// firstLook is more than the columns of a quarter of an hour take: 180 samples of 31 numbers of about 7 bytes.
const firstLook = 40_000

// countingWriter counts heads and bodies.
type countingWriter struct {
	http.ResponseWriter
	sum *atomic.Int64
	n   int
}

func (c *countingWriter) Write(p []byte) (int, error) {
	if c.n == 0 {
		for name, values := range c.Header() {
			c.count(len(name) + len(values[0]) + 4)
		}
	}
	c.count(len(p))
	return c.ResponseWriter.Write(p)
}

func (c *countingWriter) count(n int) {
	c.n += n
	c.sum.Add(int64(n))
}

// Unwrap is for http.ResponseController.
func (c *countingWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
