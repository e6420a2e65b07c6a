package browsertest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// startPlain starts a hub without the demo feed, so that nothing but the test moves its figures.
func startPlain(t *testing.T, more ...string) *hub {
	t.Helper()
	return startHubWith(t, buildHub(t), append([]string{"--listen", "127.0.0.1:0", "--data", t.TempDir()}, more...)...)
}

// connect opens n streams, by query, that are read until the test ends, and waits until the hub lists them.
func connect(t *testing.T, h *hub, n int, query string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	before := clients(t, h)
	for range n {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.base+"/events?"+query, nil)
		require.NoError(t, err)
		req.Header.Set("User-Agent", "the-load/1.0")
		res, err := client.Do(req)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, res.StatusCode)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}()
		t.Cleanup(func() { <-done })
		t.Cleanup(cancel)
	}
	require.Eventually(t, func() bool { return clients(t, h) == before+n }, patience, 10*time.Millisecond)
}

// pushMany pushes n events of a topic.
func pushMany(t *testing.T, h *hub, n int, topic string) {
	t.Helper()
	for left := n; left > 0; left -= 100 {
		var events []string
		for i := range min(left, 100) {
			events = append(events, fmt.Sprintf(`{"event":"load","topic":%q,"data":{"n":%d}}`, topic, i))
		}
		post(t, h, `{"events":[`+strings.Join(events, ",")+`]}`)
	}
}

func post(t *testing.T, h *hub, body string) {
	t.Helper()
	res, err := http.Post(h.base+"/push", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, "%s", text)
}

// figure is what a tile of the overview says; count what a table does.
func figure(name string) string {
	return fmt.Sprintf(`document.querySelector('[data-figure=%q]').textContent`, name)
}

func counted(name string) string {
	return fmt.Sprintf(`document.querySelector('[data-count=%q]').textContent`, name)
}

// legend is the value of a series of an overview's chart.
func legend(chart, series string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#past .chart")].find((c) => c.querySelector("h2").textContent === %q)
		.querySelectorAll(".item").values().find((i) => i.textContent.startsWith(%q)).querySelector("b").textContent`, chart, series+" ")
}

// TestOverviewTellsTheTruth: under a load of known size each panel says what /stats says, and a page that is loaded again
// has what was before, as the hub keeps it.
func TestOverviewTellsTheTruth(t *testing.T) {
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startPlain(t, "--retain-count", "5000")
		page := open()
		page.navigate(t, h.base+"/")
		await(t, page, shown("overview")+` && `+live)
		connect(t, h, 20, "topic=load")
		pushMany(t, h, 1500, "load")

		delivered := 1500 * 21 // the page follows all topics
		require.Eventually(t, func() bool {
			return stats(t, h.base)["hub"].(map[string]any)["delivered"] == float64(delivered)
		}, patience, 10*time.Millisecond)
		await(t, page, figure("clients")+` === "21" && `+figure("events")+` === "1,500"`)
		await(t, page, counted("delivered")+` === "31,500"`)
		await(t, page, figure("log")+` === "1,500 of 5,000"`)
		await(t, page, legend("Connections by state", "up to date")+` === "21"`)
		await(t, page, legend("Connections by transport", "socket")+` === "21"`)
		hub := stats(t, h.base)["hub"].(map[string]any)
		for _, outcome := range []string{"dropped", "timed_out", "failed", "conflated", "no_receiver", "resent"} {
			require.Equal(t, fmt.Sprint(hub[outcome]), get[string](t, page, counted(outcome)), outcome)
		}
		require.Eventually(t, func() bool { return ofSeries(t, h, "events") > 1400 }, patience, 100*time.Millisecond, "the hub keeps what was")

		// The first look after a load brings it all: nothing has to happen first.
		page.navigate(t, "about:blank")
		page.navigate(t, h.base+"/#overview")
		await(t, page, `document.querySelector("#past") && `+figure("events")+` === "1,500"`)
		first := get[float64](t, page, `(async () => {
			const { series } = await (await fetch("/overview?step=1")).json();
			return series.events.reduce((sum, rate, i) => sum + (i ? rate * (series.time[i] - series.time[i - 1]) / 1000 : 0), 0);
		})()`)
		require.InDelta(t, 1500, first, 100)

		// Who goes is counted.
		res, err := http.Get(h.base + "/connections?limit=1000")
		require.NoError(t, err)
		defer res.Body.Close()
		var list struct{ Connections []struct{ ID, Client string } }
		require.NoError(t, json.NewDecoder(res.Body).Decode(&list))
		for _, c := range list.Connections {
			if c.Client == "the-load/1.0" {
				remove(t, h.base+"/connections/"+c.ID)
			}
		}
		await(t, page, figure("clients")+` === "1" && `+counted("reconnect")+` === "20"`)
	})
}

// ofSeries is how many a rate of the overview adds up to.
func ofSeries(t *testing.T, h *hub, name string) float64 {
	t.Helper()
	res, err := http.Get(h.base + "/overview?step=1")
	require.NoError(t, err)
	defer res.Body.Close()
	var reply struct{ Series map[string][]float64 }
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	_ = json.Unmarshal(body, &reply) // columns with null count as 0
	sum := 0.0
	for i, rate := range reply.Series[name] {
		if i > 0 {
			sum += rate * (reply.Series["time"][i] - reply.Series["time"][i-1]) / 1000
		}
	}
	return sum
}

func remove(t *testing.T, target string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodDelete, target, nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
}

// rows are the texts of a view's list: one line for each row, of the named column.
func rows(view, column string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('[data-view=%q] tbody td.%s')].map((td) => td.textContent)`, view, column)
}

// press presses the button of a view that has the text.
func press(t *testing.T, page tab, view, text string) {
	t.Helper()
	page.eval(t, fmt.Sprintf(`[...document.querySelectorAll('[data-view=%q] button')].find((b) => b.textContent === %q).click()`, view, text), nil)
}

// fill sets a field of a view's form, as a user does, and sends the form.
func fill(t *testing.T, page tab, view string, fields map[string]string) {
	t.Helper()
	text, err := json.Marshal(fields)
	require.NoError(t, err)
	page.eval(t, fmt.Sprintf(`(() => {
		const form = document.querySelector('[data-view=%q] form');
		for (const [name, value] of Object.entries(%s)) form.elements[name].value = value;
		form.requestSubmit();
	})()`, view, text), nil)
}

// TestConnectionsAreListedAndEnded: who is there, and from where; one is ended after a question, and no other.
func TestConnectionsAreListedAndEnded(t *testing.T) {
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startPlain(t)
		connect(t, h, 105, "topic=load&topic=a")
		connect(t, h, 2, "uid=ann")
		page := open()
		page.navigate(t, h.base+"/#connections")
		await(t, page, live)
		press(t, page, "connections", "Reload") // its own connection is there
		await(t, page, inAll("connections", "108"))
		require.Equal(t, 108, len(walk(t, page, "connections", "uid").Texts))

		fill(t, page, "connections", map[string]string{"uid": "ann"})
		await(t, page, rows("connections", "uid")+`.join() === "ann,ann"`)
		require.Equal(t, []string{"the-load/1.0", "the-load/1.0"}, get[[]string](t, page, rows("connections", "client")))
		require.Equal(t, []string{"127.0.0.1", "127.0.0.1"}, get[[]string](t, page, rows("connections", "address")))
		require.Equal(t, []string{"socket", "socket"}, get[[]string](t, page, rows("connections", "transport")))
		require.Equal(t, []string{"live", "live"}, get[[]string](t, page, rows("connections", "state")))
		await(t, page, `/ann is online since .*, connections: 2/.test(document.querySelector('[data-view="connections"]').textContent)`)

		// The hub looks through all of them for those that are asked for: the page itself follows every topic.
		for _, one := range []struct {
			form map[string]string
			rows int
		}{{map[string]string{"uid": "", "topic": "a"}, 106}, {map[string]string{"topic": "", "address": "10.0.0.1"}, 0},
			{map[string]string{"address": "127.0.0.1", "state": "behind"}, 0}, {map[string]string{"uid": "ann", "state": "live"}, 2}} {
			fill(t, page, "connections", one.form)
			await(t, page, inAll("connections", fmt.Sprint(one.rows)))
		}
		before := clients(t, h)
		press(t, page, "connections", "Disconnect")
		await(t, page, `document.querySelector("#sure").open`)
		page.eval(t, `document.querySelector('#sure [data-part="no"]').click()`, nil)
		await(t, page, `!document.querySelector("#sure").open`)
		require.Equal(t, before, clients(t, h), "it was not meant")
		press(t, page, "connections", "Disconnect")
		page.eval(t, `document.querySelector('#sure [data-part="yes"]').click()`, nil)
		await(t, page, rows("connections", "uid")+`.join() === "ann" && /of ann is ended/.test(document.querySelector('[data-view="connections"] .pager').textContent)`)
		require.Eventually(t, func() bool { return clients(t, h) == before-1 }, patience, 10*time.Millisecond)
	})
}

// TestSeveralEventsAreOnePush: each event with its own topic, key and keep; the answer has an ID for each, and how many
// connections it is for.
func TestSeveralEventsAreOnePush(t *testing.T) {
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startPlain(t)
		connect(t, h, 3, "topic=orders.*")
		page := open()
		page.navigate(t, h.base+"/#push")
		await(t, page, shown("push")+` && `+live)
		page.eval(t, `(() => {
			document.querySelector("#one-more").click();
			const [first, second] = document.querySelectorAll("#push .event");
			const set = (event, values) => Object.entries(values).forEach(([name, value]) => {
				const field = event.querySelector("[name=" + name + "]");
				if (field.type === "checkbox") field.checked = value; else field.value = value;
				field.dispatchEvent(new Event("input", { bubbles: true }));
			});
			set(first, { data: '{"n": 1}', topic: "orders.7", key: "seven", event: "order" });
			set(second, { data: '{"n": ', ephemeral: true });
		})()`, nil)
		await(t, page, `/^This is no JSON/.test(document.querySelectorAll("#push .check")[1].textContent) && document.querySelectorAll("#push .check")[0].textContent === ""`)
		page.eval(t, `document.querySelector("#push").requestSubmit()`, nil)
		await(t, page, `/^2 events, acknowledged after [\d.]+ ms, here after/.test(document.querySelector("#result").textContent)`)
		await(t, page, `[...document.querySelectorAll("#result-ids li")].map((li) => li.textContent.replace(/^\d+/, "ID")).join(" | ") ===
			"ID, for 4 connections at present | ephemeral, without an ID, for 4 connections at present"`)
		id := get[string](t, page, `document.querySelector("#result-ids li").textContent.split(",")[0]`)

		var page1 struct {
			Events []struct{ ID, Event, Topic, Key, Data string }
		}
		res, err := http.Get(h.base + "/history?topic=" + url.QueryEscape(">"))
		require.NoError(t, err)
		defer res.Body.Close()
		require.NoError(t, json.NewDecoder(res.Body).Decode(&page1))
		require.Len(t, page1.Events, 1)
		require.Equal(t, id, page1.Events[0].ID)
		require.Equal(t, "order orders.7 seven", page1.Events[0].Event+" "+page1.Events[0].Topic+" "+page1.Events[0].Key)
	})
}

// TestTheLiveViewBeginsWithHistory: what was pushed before is there at once, with its topic, and is filtered and copied.
func TestTheLiveViewBeginsWithHistory(t *testing.T) {
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startPlain(t)
		pushMany(t, h, 5, "orders.7")
		post(t, h, `{"events":[{"event":"greeting","topic":"a.b","key":"k","data":"Hello it's me"}]}`)
		page := open()
		page.navigate(t, h.base+"/#live")
		await(t, page, rowWith("Hello"))
		require.Equal(t, "a.b", cells(t, page, rowWith("Hello"))["topic"])
		require.Equal(t, 6, get[int](t, page, `document.querySelectorAll("#log tr").length`))
		await(t, page, live)
		require.Equal(t, 0, get[int](t, page, "spate.gaps.length"))

		filter := func(name, value string) {
			page.eval(t, fmt.Sprintf(`(() => { const f = document.querySelector("#filter"); f.elements[%q].value = %q; f.dispatchEvent(new Event("input")); })()`, name, value), nil)
		}
		filter("type", "load")
		require.Equal(t, 5, get[int](t, page, `document.querySelectorAll("#log tr").length`))
		filter("type", "")
		filter("text", "HELLO")
		require.Equal(t, 1, get[int](t, page, `document.querySelectorAll("#log tr").length`))
		page.eval(t, `document.querySelector("#log button").click()`, nil)
		require.Equal(t, "k", get[string](t, page, `document.querySelector('#detail [data-part="key"]').textContent`))
		page.eval(t, `(Object.defineProperty(navigator, "clipboard", { value: { writeText: (text) => (window.copied = text, Promise.resolve()) } }),
			document.querySelector('#detail [data-part="curl"]').click())`, nil)
		await(t, page, `document.querySelector('#detail [data-part="curl"]').textContent === "Copied"`)
		require.Equal(t, "curl -H 'Content-Type: application/json' \\\n  -d '{\"events\":[{\"event\":\"greeting\",\"topic\":\"a.b\",\"key\":\"k\",\"data\":\"Hello it'\\''s me\"}]}' \\\n  "+h.base+"/push", get[string](t, page, "copied"))
		page.eval(t, `document.querySelector("#detail").close()`, nil)
		filter("text", "")

		// The topic of what comes is asked of history.
		post(t, h, `{"events":[{"event":"late","topic":"x.y","data":"comes later"}]}`)
		await(t, page, rowWith("comes later"))
		await(t, page, rowWith("comes later")+`.querySelector(".topic").textContent === "x.y"`)
	})
}
