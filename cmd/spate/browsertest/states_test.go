package browsertest_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestThePageSaysThatTheHubIsGone: what stands on the page of a killed hub is marked as old and dimmed, a push that got
// no answer is told; all of that is taken back when the hub is there again.
func TestThePageSaysThatTheHubIsGone(t *testing.T) {
	bin := buildHub(t)
	inBrowsers(t, func(t *testing.T, open func() tab) {
		data := t.TempDir()
		h := startHub(t, bin, "127.0.0.1:0", data)
		page := open()
		page.navigate(t, h.base+"/")
		await(t, page, live+` && spate.events > 20 && document.querySelectorAll("#charts .chart").length === 6`)
		await(t, page, `!(`+old+`)`) // the figures come with the first look at the hub
		color := get[string](t, page, valueColor)

		require.Error(t, h.end(syscall.SIGKILL))
		await(t, page, `spate.state === "reconnecting"`)
		await(t, page, `/^No stream since \d\d:\d\d:\d\d \(.+\)\. What is shown is from before\./.test(document.querySelector("#why").textContent)`)
		await(t, page, `/^(Next try in \d+ s|Trying now)\.$/.test(document.querySelector("#next").textContent)`)
		await(t, page, `[...document.querySelectorAll("#charts .chart")].every((c) => c.classList.contains("stale") && /nothing since \d\d:/.test(c.textContent))`)
		await(t, page, old+` && /as of \d\d:/.test(document.querySelector("#tiles").textContent) && document.querySelector("#rate").textContent === "–"`)
		require.NotEqual(t, color, get[string](t, page, valueColor))
		require.True(t, strings.HasPrefix(get[string](t, page, "document.title"), "(reconnecting)"))
		page.eval(t, `document.querySelector("#push").requestSubmit()`, nil)
		await(t, page, `/whether the events were published is not known/.test(document.querySelector("#result").textContent)`)

		startHub(t, bin, h.address(), data)
		page.eval(t, `document.querySelector("#again").click()`, nil)
		await(t, page, live)
		await(t, page, `document.querySelector("#notice").hidden && document.querySelector("#result").textContent === ""`)
		await(t, page, `!(`+old+`) && !document.querySelector("#charts .chart.stale") && document.title === "spate"`)
		require.Equal(t, color, get[string](t, page, valueColor))
	})
}

// old is whether the figures of the stream are marked as from before.
const old = `document.querySelector("#tiles").classList.contains("stale")`

const valueColor = `[...document.querySelectorAll("#events, #charts .legend b")].map((e) => getComputedStyle(e).color).join()`

// TestARefusedStreamSaysWhy: more topics than a connection may follow is not a hub that is away.
func TestARefusedStreamSaysWhy(t *testing.T) {
	bin := buildHub(t)
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startHub(t, bin, "127.0.0.1:0", t.TempDir())
		page := open()
		page.navigate(t, h.base+"/")
		await(t, page, live)
		topics := func(expression string) {
			page.eval(t, `(() => {
				const form = document.querySelector("#follow");
				form.elements.topics.value = `+expression+`;
				form.requestSubmit();
			})()`, nil)
		}
		topics(`Array.from({length: 1001}, (_, i) => "t" + i).join()`)
		await(t, page, `document.querySelector("#state").textContent === "refused"`)
		await(t, page, `/refuses this stream \(400: topic: .*1001.*1000/.test(document.querySelector("#why").textContent)`)
		topics(`Array.from({length: 1000}, (_, i) => "t" + i).join()`)
		await(t, page, live+` && document.querySelector("#notice").hidden`)
	})
}

// TestThePageSaysThatItWaits: no answer is a state of its own, with what to do about it.
func TestThePageSaysThatItWaits(t *testing.T) {
	bin := buildHub(t)
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startHub(t, bin, "127.0.0.1:0", t.TempDir())
		answer := make(chan struct{})
		wait := func(w http.ResponseWriter, r *http.Request, hub http.Handler) {
			select {
			case <-answer:
				hub.ServeHTTP(w, r)
			case <-r.Context().Done():
			}
		}
		base := startFront(t, h, map[string]func(http.ResponseWriter, *http.Request, http.Handler){"/events": wait, "/push": wait})
		page := open()
		page.navigate(t, base+"/")
		await(t, page, `document.querySelector("#state").textContent === "waiting" && /six connections/.test(document.querySelector("#why").textContent)`)
		page.eval(t, `document.querySelector("#push").requestSubmit()`, nil)
		await(t, page, `/^waiting: .* no free connection/.test(document.querySelector("#result").textContent)`)
		close(answer)
		await(t, page, live+` && document.querySelector("#notice").hidden`)
		await(t, page, `/^ID \d+, acknowledged/.test(document.querySelector("#result").textContent)`)
	})
}

// TestAnOlderPushDoesNotSpeakForANewerOne: the first push's event never comes, and the time to say so is up when the
// second has long come.
func TestAnOlderPushDoesNotSpeakForANewerOne(t *testing.T) {
	bin := buildHub(t)
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startHub(t, bin, "127.0.0.1:0", t.TempDir())
		var before atomic.Bool
		base := startFront(t, h, map[string]func(http.ResponseWriter, *http.Request, http.Handler){
			"/push": func(w http.ResponseWriter, r *http.Request, hub http.Handler) {
				if before.Swap(true) {
					hub.ServeHTTP(w, r)
					return
				}
				_, _ = fmt.Fprint(w, `{"ids":["5"]}`)
			},
		})
		page := open()
		page.beforeScripts(t, `const real = setTimeout;
			window.patience = [];
			window.setTimeout = (f, ms, ...more) => (ms === 3000 ? window.patience.push(f) : real(f, ms, ...more));`)
		page.navigate(t, base+"/")
		await(t, page, live)
		page.eval(t, `document.querySelector("#push").requestSubmit()`, nil)
		await(t, page, `/^ID 5, acknowledged/.test(document.querySelector("#result").textContent) && patience.length >= 1`)
		pushIn(t, page, "the second")
		page.eval(t, `patience[0]()`, nil) // the first one's time is up
		require.Regexp(t, `^ID \d{6,}, acknowledged after .* here after`, get[string](t, page, `document.querySelector("#result").textContent`))
	})
}

// TestAPushWithoutAStreamIsSeenLater: what is pushed while the page's stream is cut comes when it goes on, and the form says
// so then.
func TestAPushWithoutAStreamIsSeenLater(t *testing.T) {
	bin := buildHub(t)
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startHub(t, bin, "127.0.0.1:0", t.TempDir())
		answer := make(chan struct{})
		base := startFront(t, h, map[string]func(http.ResponseWriter, *http.Request, http.Handler){
			"/events": func(w http.ResponseWriter, r *http.Request, hub http.Handler) {
				select {
				case <-answer:
					hub.ServeHTTP(w, r)
				case <-r.Context().Done():
				}
			},
		})
		page := open()
		page.navigate(t, base+"/")
		await(t, page, `document.querySelector("#state").textContent === "waiting"`)
		page.eval(t, `document.querySelector("#push").requestSubmit()`, nil)
		await(t, page, `/^ID \d+, acknowledged after [\d.]+ ms; this page has no stream at present$/.test(document.querySelector("#result").textContent)`)
		close(answer)
		await(t, page, `/^ID \d+, acknowledged after [\d.]+ ms, here after [\d.]+ ms$/.test(document.querySelector("#result").textContent)`)
	})
}
