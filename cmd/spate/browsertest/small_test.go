package browsertest_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// resize gives a page the size of a screen, in CSS pixels.
func resize(t *testing.T, page tab, width, height int64) {
	t.Helper()
	switch p := page.(type) {
	case *chromiumTab:
		require.NoError(t, chromedp.Do(p.ctx, chromedp.EmulateViewport(width, height)))
	case *firefoxTab:
		p.f.call(t, "browsingContext.setViewport", map[string]any{"context": p.context, "viewport": map[string]any{"width": width, "height": height}}, nil)
	}
	await(t, page, fmt.Sprintf(`innerWidth === %d`, width))
}

// cutOff are the elements that do not fit the width of the screen: that reach beyond it, but for what one can scroll to within
// the page, or whose own text does not fit them.
const cutOff = `[...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() && !e.closest("thead, canvas, svg")).filter((e) => {
		const box = e.getBoundingClientRect();
		if (box.width === 0) return false;
		if (!e.closest("pre") && (box.left < -0.5 || box.right > document.documentElement.clientWidth + 0.5)) return true;
		return e.matches("button:not(.open), a, h1, h2, label, legend, strong, .pill, .muted, td:not(.data)") && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline";
	}).map((e) => e.outerHTML.slice(0, 200))`

// TestTheSmallestScreen: on 320 pixels, as a large page zoomed in fourfold has them too, all views are within the width, and
// nothing is cut off.
func TestTheSmallestScreen(t *testing.T) {
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startHub(t, buildHub(t), "127.0.0.1:0", t.TempDir())
		post(t, h, `{"events":[{"event":"an-event-type-that-is-long-without-need","topic":"a.topic.whose.name.has.very.many.tokens.and.goes.on.and.on.and.on","key":"key","data":"{\"some\":\"json\"}"}]}`)
		page := open()
		page.navigate(t, h.base+"/")
		await(t, page, live+` && spate.events > 20`)
		resize(t, page, 320, 640)
		fits := func(what string) {
			t.Helper()
			require.Empty(t, get[[]string](t, page, cutOff), what)
			require.True(t, get[bool](t, page, `document.documentElement.scrollWidth <= document.documentElement.clientWidth`), "%s is wider than the screen", what)
		}
		for _, view := range views {
			show(t, page, view)
			if slices.Contains([]string{"connections", "history", "topics", "settings"}, view) {
				await(t, page, fmt.Sprintf(`document.querySelector('[data-view=%q] tbody td[data-title]')`, view))
			}
			fits(view)
		}
		show(t, page, "history")
		page.eval(t, `document.querySelector('[data-view="history"] td.data button').click()`, nil)
		fits("an event open")
		page.eval(t, `document.querySelector("#detail").close()`, nil)
		show(t, page, "connections")
		page.eval(t, `document.querySelector('[data-view="connections"] td.act button').click()`, nil)
		fits("a question")
	})
}

// TestSomethingIsThereAtOnce: a hub with the demo feed shows figures and charts once the page is loaded, without anything
// having to happen first. How long that takes is told.
func TestSomethingIsThereAtOnce(t *testing.T) {
	inOneBrowser(t, func(t *testing.T, open func() tab) {
		h := startHub(t, buildHub(t), "127.0.0.1:0", t.TempDir())
		first := open()
		first.navigate(t, h.base+"/#machine")
		await(t, first, `document.querySelector("#charts .legend b")?.textContent.endsWith("%")`) // the feed has begun
		for what, target := range map[string]struct{ hash, there string }{
			"the overview": {"overview", figure("clients") + ` !== "–" && ` + legend("Connections by state", "up to date") + ` !== "–" && ` + legend("Memory", "resident") + ` !== "–"`},
			"the machine":  {"machine", `[...document.querySelectorAll("#charts .legend b")].filter((b) => b.textContent !== "–").length > 8`},
		} {
			var took []float64
			for range 5 {
				page := open()
				page.beforeScripts(t, `(() => {
					const look = () => {
						try { if (`+target.there+`) return void (window.thereAfter = performance.now()); } catch {}
						requestAnimationFrame(look);
					};
					requestAnimationFrame(look);
				})();`)
				page.navigate(t, h.base+"/#"+target.hash)
				await(t, page, `window.thereAfter`)
				took = append(took, get[float64](t, page, `thereAfter`))
				page.close(t)
			}
			slices.Sort(took)
			t.Logf("%s is there %.0f ms after the page was asked for (median of %.0f)", what, took[len(took)/2], took)
		}
	})
}
