package browsertest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// clients is how many streams the hub has.
func clients(t *testing.T, h *hub) int {
	t.Helper()
	return int(stats(t, h.base)["hub"].(map[string]any)["clients"].(float64))
}

// pushIn pushes by the form of a page and waits for its own event.
func pushIn(t *testing.T, page tab, data string) {
	t.Helper()
	page.eval(t, fmt.Sprintf(`(() => {
		const form = document.querySelector("#push");
		form.elements.data.value = %q;
		form.requestSubmit();
	})()`, data), nil)
	defer func() {
		if t.Failed() {
			t.Logf("the page says of the push: %s", get[string](t, page, `document.querySelector("#result").textContent`))
		}
	}()
	await(t, page, `/^ID \d+, acknowledged after [\d.]+ ms, here after [\d.]+ ms$/.test(document.querySelector("#result").textContent)`)
}

// withoutShared takes SharedWorker away, as in Chrome for Android.
const withoutShared = `delete window.SharedWorker;`

// TestTabsShareOneStream: however many tabs there are, the hub has one stream of the browser, each tab gets every event
// once (invariants 2 and 3), and each can push at once, although a browser opens six connections to a hub over HTTP/1.1.
// When the tab that holds the stream goes, another takes over and nothing is missing.
func TestTabsShareOneStream(t *testing.T) {
	bin := buildHub(t)
	for mode, way := range map[string]struct {
		script string
		tabs   int
	}{"shared": {"", 7}, "leader": {withoutShared, 4}} {
		t.Run(mode, func(t *testing.T) {
			inBrowsers(t, func(t *testing.T, open func() tab) {
				h := startHub(t, bin, "127.0.0.1:0", t.TempDir())
				var pages []tab
				for range way.tabs {
					page := open()
					if way.script != "" {
						page.beforeScripts(t, way.script)
					}
					page.navigate(t, h.base+"/")
					await(t, page, live+` && spate.events > 5`)
					require.Equal(t, mode, get[string](t, page, "spate.link.mode"))
					pages = append(pages, page)
				}
				require.Equal(t, 1, clients(t, h))
				for i, page := range pages {
					pushIn(t, page, fmt.Sprint("from tab ", i))
				}
				pages[0].close(t) // which led, where one must
				pages = pages[1:]
				for i, page := range pages {
					pushIn(t, page, fmt.Sprint("again from tab ", i))
				}
				last := get[string](t, pages[0], "spate.lastId")
				want := idsUpTo(t, pages[0], last)
				require.NotEmpty(t, want)
				for _, page := range pages {
					ids := idsUpTo(t, page, last)
					shared := want
					for len(shared) > 0 && shared[0] != ids[0] { // tabs began at different times
						shared = shared[1:]
					}
					require.Equal(t, shared, ids)
					require.Equal(t, []int{0, 0}, get[[]int](t, page, "[spate.gaps.length, spate.faults]"))
				}
				require.Equal(t, 1, clients(t, h))
			})
		})
	}
}

// idsUpTo waits until the page has the ID and returns what it has up to there.
func idsUpTo(t *testing.T, page tab, last string) []string {
	t.Helper()
	await(t, page, fmt.Sprintf(`spate.ids.some((e) => e.id === %q)`, last))
	var ids []string
	for _, id := range get[[]string](t, page, `spate.ids.map((e) => e.id)`) {
		ids = append(ids, id)
		if id == last {
			break
		}
	}
	return ids
}

// TestDifferentStreamsLeaveRoomForPushes: tabs that ask for different things have streams of their own, but only so many
// that a push still gets through; the next tab says that it waits, and begins when there is room.
func TestDifferentStreamsLeaveRoomForPushes(t *testing.T) {
	bin := buildHub(t)
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startHub(t, bin, "127.0.0.1:0", t.TempDir())
		follow := func(page tab, user string) {
			page.eval(t, fmt.Sprintf(`(() => {
				const form = document.querySelector("#follow");
				form.elements.uid.value = %q;
				form.requestSubmit();
			})()`, user), nil)
		}
		var pages []tab
		for i := range 7 {
			page := open()
			page.navigate(t, h.base+"/")
			await(t, page, `window.spate?.subscription`)
			follow(page, fmt.Sprint("user", i))
			if i < 4 {
				await(t, page, live+` && spate.subscription.uid === "user`+fmt.Sprint(i)+`"`)
			} else {
				await(t, page, `spate.state === "waiting"`)
				await(t, page, `document.querySelector("#notice").checkVisibility() && /4 different streams/.test(document.querySelector("#why").textContent)`)
			}
			pages = append(pages, page)
		}
		require.Equal(t, 4, clients(t, h))
		pushIn(t, pages[0], "there is room")
		pages[1].close(t)
		await(t, pages[4], live)
		await(t, pages[4], `document.querySelector("#notice").hidden`)
		pushIn(t, pages[4], "here too")
		follow(pages[5], "user0") // what another tab has needs no room
		await(t, pages[5], live)
		require.Equal(t, 4, clients(t, h))
	})
}
