package browsertest_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// rowWith is the row of the list whose text has the given one.
func rowWith(text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#log tr")].find((tr) => tr.textContent.includes(%q))`, text)
}

// cells are the texts of a row by column.
func cells(t *testing.T, page tab, row string) map[string]string {
	t.Helper()
	return get[map[string]string](t, page, `Object.fromEntries([...`+row+`.cells].map((td) => [td.className, td.textContent]))`)
}

// TestEventsOfAnyTypeShow: an event shows whatever its type, that of the README's example too, and with whom it was for,
// as far as that can be known.
func TestEventsOfAnyTypeShow(t *testing.T) {
	bin := buildHub(t)
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startHub(t, bin, "127.0.0.1:0", t.TempDir())
		page, other := open(), open()
		for _, p := range []tab{page, other} {
			p.navigate(t, h.base+"/")
			await(t, p, live)
			p.eval(t, `document.querySelector("[data-show=pushed]").click()`, nil)
		}
		out, err := exec.Command(bin, "push", "--url", h.base, "--event", "greeting", "hello").CombinedOutput()
		require.NoError(t, err, "%s", out)
		_, err = push(t.Context(), h.base, map[string]any{"event": "fleeting", "data": "passing by", "ephemeral": true})
		require.NoError(t, err)
		for _, p := range []tab{page, other} {
			await(t, p, rowWith("hello")+` && `+rowWith("passing by"))
			row := cells(t, p, rowWith("hello"))
			require.Equal(t, strings.TrimSpace(string(out)), row["id"])
			require.Equal(t, "greeting", row["type"])
			require.Equal(t, "all", row["users"])
			row = cells(t, p, rowWith("passing by"))
			require.Equal(t, "fleeting", row["type"])
			require.Equal(t, "–", row["id"])
		}
		// What one tab pushed, all know.
		page.eval(t, `document.querySelector("#push [name=topic]").value = "load"`, nil)
		pushIn(t, page, "by the form")
		for _, p := range []tab{page, other} {
			await(t, p, rowWith("by the form"))
			await(t, p, rowWith("by the form")+`.querySelector(".topic").textContent === "load"`)
		}
		page.eval(t, `(() => {
			const form = document.querySelector("#follow");
			form.elements.uid.value = "u1";
			form.elements.topics.value = "";
			form.requestSubmit();
		})()`, nil)
		await(t, page, live+` && spate.subscription.uid === "u1"`)
		_, err = push(t.Context(), h.base, map[string]any{"data": "to whom"})
		require.NoError(t, err)
		await(t, page, rowWith("to whom"))
		row := cells(t, page, rowWith("to whom"))
		require.Equal(t, "none", row["topic"])
		require.Equal(t, "?", row["users"]) // everybody, or u1 among others
	})
}

// TestAPayloadCanBeReadWhole: the list shows a beginning, the dialog every character, as it was sent and laid out.
func TestAPayloadCanBeReadWhole(t *testing.T) {
	bin := buildHub(t)
	inBrowsers(t, func(t *testing.T, open func() tab) {
		h := startHub(t, bin, "127.0.0.1:0", t.TempDir())
		page := open()
		page.navigate(t, h.base+"/")
		await(t, page, live)
		page.eval(t, `document.querySelector("[data-show=pushed]").click()`, nil)
		data := `{"id":12345678901234567890,"list":[1.0,{}],"text":"` + strings.Repeat(`a\n"`[:3]+"ü€", 60_000) + `","end":1e2}`
		id, err := push(t.Context(), h.base, map[string]any{"event": "large", "data": data})
		require.NoError(t, err)
		await(t, page, rowWith(id))
		require.Less(t, len(cells(t, page, rowWith(id))["data"]), 1000)
		page.eval(t, rowWith(id)+`.querySelector("button").click()`, nil)
		const text = `document.querySelector('#detail [data-part="data"]').textContent`
		require.Equal(t, data, get[string](t, page, text))
		require.Equal(t, "Event "+id, get[string](t, page, `document.querySelector("#detail h2").textContent`))
		page.eval(t, `document.querySelector('[data-part="form"]').click()`, nil)
		laidOut := get[string](t, page, text)
		require.True(t, strings.HasPrefix(laidOut, "{\n  \"id\": 12345678901234567890,\n  \"list\": [\n    1.0,\n    {}\n  ],\n  \"text\": \"a"), "%.200s", laidOut)
		require.True(t, strings.HasSuffix(laidOut, ",\n  \"end\": 1e2\n}"))

		// What is no JSON has no second form, and markup stays text.
		page.eval(t, `document.querySelector("#detail").close()`, nil)
		pushIn(t, page, "<b>line one</b>\nline two")
		await(t, page, rowWith("line one"))
		page.eval(t, rowWith("line one")+`.querySelector("button").click()`, nil)
		require.Equal(t, "<b>line one</b>\nline two", get[string](t, page, text))
		require.True(t, get[bool](t, page, `document.querySelector('[data-part="form"]').hidden`))
	})
}

// keys presses keys in a page.
func keys(t *testing.T, ctx context.Context, keys ...string) {
	t.Helper()
	for _, key := range keys {
		require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(key)))
	}
}

// TestKeyboard: all that a pointer does, keys do, and the list does not move under them.
func TestKeyboard(t *testing.T) {
	h := startHub(t, buildHub(t), "127.0.0.1:0", filepath.Join(t.TempDir(), "data"))
	ctx, trouble := chromium(t)
	page := &chromiumTab{ctx: ctx}
	page.navigate(t, h.base+"/#live")
	await(t, page, shown("live")+` && `+live+` && document.querySelectorAll("#log tr").length > 30`)

	// From the field before it, the list is one stop for itself and one for its rows.
	page.eval(t, `document.querySelector("#filter [name=user]").focus()`, nil)
	keys(t, ctx, kb.Tab, kb.Tab)
	require.True(t, get[bool](t, page, `document.activeElement === document.querySelector("#log tr button")`))
	first := get[string](t, page, `document.activeElement.closest("tr").querySelector(".id").textContent`)
	keys(t, ctx, kb.ArrowDown, kb.ArrowDown, kb.ArrowUp)
	second := get[string](t, page, `document.activeElement.closest("tr").querySelector(".id").textContent`)
	seen := get[int](t, page, "spate.events")
	await(t, page, fmt.Sprintf(`spate.events > %d && /held .* \d+ newer/.test(document.querySelector("#held").textContent)`, seen+20))
	require.Equal(t, []string{first, second}, get[[]string](t, page, `[...document.querySelectorAll("#log .id")].slice(0, 2).map((e) => e.textContent)`))

	keys(t, ctx, kb.Enter)
	require.Equal(t, "Event "+second, get[string](t, page, `document.querySelector("#detail[open] h2").textContent`))
	keys(t, ctx, kb.Escape)
	require.True(t, get[bool](t, page, `!document.querySelector("#detail").open && document.activeElement.closest("tr").textContent.includes("`+second+`")`))
	keys(t, ctx, kb.Tab) // leaves the list, which goes on
	await(t, page, fmt.Sprintf(`document.querySelector("#log .id").textContent !== %q && document.querySelector("#held").textContent === ""`, first))

	// The charts tell any moment.
	show(t, page, "machine")
	page.eval(t, `document.querySelector("#charts canvas").focus()`, nil)
	keys(t, ctx, kb.ArrowLeft, kb.ArrowLeft)
	await(t, page, `/^at \d\d:\d\d:\d\d$/.test(document.querySelector("#charts .muted").textContent)`)
	keys(t, ctx, kb.Escape)
	await(t, page, `/core/.test(document.querySelector("#charts .muted").textContent)`)

	// Ctrl+Enter pushes.
	show(t, page, "push")
	page.eval(t, `document.querySelector("#push [name=data]").focus()`, nil)
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(2))))
	await(t, page, `/^ID \d+, acknowledged/.test(document.querySelector("#result").textContent)`)
	require.Empty(t, trouble())
}

// TestPhone: on a small touch screen everything is still there, within the width, and large enough for a finger.
func TestPhone(t *testing.T) {
	h := startHub(t, buildHub(t), "127.0.0.1:0", filepath.Join(t.TempDir(), "data"))
	ctx, _ := chromium(t)
	page := &chromiumTab{ctx: ctx}
	page.navigate(t, h.base+"/")
	await(t, page, live+` && document.querySelectorAll("#log tr").length > 3`)
	cdpDo(t, ctx, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true})
	for _, size := range [][2]int64{{360, 740}, {390, 844}, {844, 390}, {1024, 768}} { // the last two by touch alone
		require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(size[0], size[1], chromedp.EmulateMobile, chromedp.EmulateTouch)))
		await(t, page, fmt.Sprintf(`innerWidth === %d && matchMedia("(pointer: coarse)").matches`, size[0]))
		for _, view := range views {
			show(t, page, view)
			within(t, page, fmt.Sprint(view, " at ", size))
			require.Equal(t, size[0], get[int64](t, page, `document.documentElement.scrollWidth`), "%s is wider than the screen", view)
		}
	}
}

// within requires that what is shown can be reached and hit by a finger.
func within(t *testing.T, page tab, what string) {
	t.Helper()
	require.Empty(t, get[[]string](t, page, `[...document.querySelectorAll("button, .links a, .views a, input:not([type=checkbox]), summary, label.tick")]
		.filter((e) => e.checkVisibility() && !e.closest("#log") && e.getBoundingClientRect().height < 44)
		.map((e) => e.outerHTML + " " + e.getBoundingClientRect().height)`), "%s: too low for a finger", what)
	require.Empty(t, get[[]string](t, page, `[...document.querySelectorAll("#log button")]
		.filter((e) => e.checkVisibility() && e.closest("tr").getBoundingClientRect().height < 44 && e.getBoundingClientRect().height < 44).map((e) => e.outerHTML)`), what)
	require.Empty(t, get[[]string](t, page, `[...document.querySelectorAll(".links a, .views a:not([hidden]), #version, #state, #log tr:first-child td, button:not([hidden])")]
		.filter((e) => e.checkVisibility() && !e.closest("dialog, [hidden], .tall")).filter((e) => {
			const box = e.getBoundingClientRect();
			return box.width === 0 || box.left < 0 || box.right > innerWidth + 0.5;
		}).map((e) => e.outerHTML)`), "%s: not within reach", what)
}

// TestAxisLabelsStandClear: no fill or line reaches the labels of a chart's scale, however full it is.
func TestAxisLabelsStandClear(t *testing.T) {
	h := startHub(t, buildHub(t), "127.0.0.1:0", filepath.Join(t.TempDir(), "data"))
	ctx, _ := chromium(t)
	page := &chromiumTab{ctx: ctx}
	page.navigate(t, h.base+"/")
	await(t, page, live)
	found := get[struct{ Colors, Filled int }](t, page, `(async () => {
		const { Chart, Clock } = await import("/ui/charts.js");
		const { specs } = await import("/ui/specs.js");
		const clock = new Clock();
		const parent = document.createElement("div");
		document.body.append(parent);
		const palette = { font: "12px monospace", text: "#000", muted: "#000", grid: "#fff", card: "#fff", away: "#f00",
			teal: "#f00", blue: "#f00", amber: "#f00", pink: "#f00", red: "#f00" };
		const chart = new Chart(parent, specs.cpu, clock);
		const now = Date.now();
		clock.saw(now);
		for (let t = now - 70000; t <= now; t += 250) chart.push(t, { user: 100, system: 0, iowait: 0, steal: 0 });
		chart.draw(palette, 60);
		const { canvas } = chart;
		const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
		const red = (x, y) => { const i = 4 * (y * canvas.width + x); return pixels[i + 3] > 0 && pixels[i] > pixels[i + 1] + 20; };
		const ink = (x, y) => { const i = 4 * (y * canvas.width + x); return pixels[i + 3] > 0 && pixels[i] < 100; };
		let labels = 0;
		for (let x = 0; x < canvas.width; x++) for (let y = 0; y < canvas.height - 24; y++) if (ink(x, y)) labels = Math.max(labels, x);
		let Colors = 0, Filled = 0;
		for (let x = 0; x < canvas.width; x++) for (let y = 0; y < canvas.height; y++) if (red(x, y)) x <= labels ? Colors++ : Filled++;
		parent.remove();
		return { Colors, Filled };
	})()`)
	require.Greater(t, found.Filled, 1000)
	require.Zero(t, found.Colors, "coloured pixels beside or under the labels")
}
