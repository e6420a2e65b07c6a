package browsertest_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A tab is one page of a browser, in whichever browser. Its methods fail the test.
type tab interface {
	// navigate loads a URL. It may return before everything is loaded.
	navigate(t *testing.T, url string)
	// eval evaluates an expression, waits for it where it is a promise, and decodes its JSON into out, unless that is nil.
	eval(t *testing.T, expression string, out any)
	// beforeScripts has the script run in each document that is loaded from now on, before the document's own.
	beforeScripts(t *testing.T, script string)
	close(t *testing.T)
}

// inBrowsers runs a test in each browser that is installed. open opens one more tab; the tabs of a
// test share a profile that no other test has.
func inBrowsers(t *testing.T, test func(t *testing.T, open func() tab)) {
	t.Run("chromium", func(t *testing.T) {
		first, _ := chromium(t)
		test(t, func() tab { return newChromiumTab(t, first) })
	})
	t.Run("firefox", func(t *testing.T) {
		f := firefox(t)
		test(t, func() tab { return f.newTab(t) })
	})
}

// inOneBrowser runs a test that takes long and is about the hub, or about a script more than about its browser, in
// Chromium, and with SPATETEST_EVERY_BROWSER set in all.
func inOneBrowser(t *testing.T, test func(t *testing.T, open func() tab)) {
	if os.Getenv("SPATETEST_EVERY_BROWSER") != "" {
		inBrowsers(t, test)
		return
	}
	first, _ := chromium(t)
	test(t, func() tab { return newChromiumTab(t, first) })
}

// await polls the page until the expression is true. One that throws is not true yet: what it looks at may be there between
// two of its own steps only.
func await(t *testing.T, in tab, expression string) {
	t.Helper()
	var ok bool
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		in.eval(t, "(() => { try { return !!("+expression+"); } catch { return false; } })()", &ok)
		if ok {
			return
		}
		if time.Since(begun) > patience {
			var state any
			in.eval(t, describe, &state)
			require.FailNow(t, "the page does not come to it", "%s\nit is at %v", expression, state)
		}
	}
}

// describe is what a failure wants to know of the page.
const describe = `JSON.stringify({...window.spate, ids: window.spate?.ids.length, on: null, link: window.spate?.link.mode,
	notice: document.querySelector("#notice")?.textContent, result: document.querySelector("#result")?.textContent})`

// get evaluates an expression to a T.
func get[T any](t *testing.T, in tab, expression string) T {
	t.Helper()
	var v T
	in.eval(t, expression, &v)
	return v
}

// live waits until the page has a stream.
const live = `window.spate?.state === "live"`

// views are all that a hub with the demo feed has, by the names in their addresses.
var views = []string{"overview", "live", "push", "connections", "history", "topics", "settings", "machine"}

// show goes to a view, once the page has found out what its reader may see.
func show(t *testing.T, in tab, view string) {
	t.Helper()
	await(t, in, `document.querySelector("#views [aria-current]")`)
	in.eval(t, `(location.hash = "#`+view+`", null)`, nil)
	await(t, in, shown(view))
}

// shown is whether a view is.
func shown(view string) string {
	return `!document.querySelector('[data-view="` + view + `"]').hidden`
}
