package browsertest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// findAxe returns the script of axe-core, which npm installs into a folder of the user's cache the first time; a
// node_modules in the repository would be taken for a part of it by other tests. Without npm the test is skipped.
func findAxe(t *testing.T) string {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("no npm, which brings axe-core: install it (Debian: apt-get install npm)")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	lock, err := os.ReadFile("package-lock.json")
	require.NoError(t, err)
	sum := sha256.Sum256(lock)
	dir := filepath.Join(cache, "spate-browsertest", hex.EncodeToString(sum[:8]))
	script := filepath.Join(dir, "node_modules", "axe-core", "axe.min.js")
	if _, err := os.Stat(script); err != nil {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		for _, name := range []string{"package.json", "package-lock.json"} {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o644))
		}
		cmd := exec.CommandContext(t.Context(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-timeout", "30000")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("npm cannot install axe-core here: %v\n%s", err, out)
		}
	}
	text, err := os.ReadFile(script)
	require.NoError(t, err)
	return string(text)
}

// runAxe are the rules of WCAG 2.2 A and AA, with a contrast of 4.5:1 whatever the size of the text. What axe cannot tell
// (of contrast: text over something that is no plain colour) is reported like a violation.
const runAxe = `(async () => {
	const found = await axe.run(document, {
		resultTypes: ["violations", "incomplete"],
		runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
	});
	const passed = new Set(["elmPartiallyObscured", "bgOverlap", "nonBmp"]);
	const of = (list) => list.flatMap((r) => r.nodes.map((n) => r.id + ": " + n.html.slice(0, 160) + " " + n.any.map((c) => c.message).join("; ")));
	return [...of(found.violations), ...of(found.incomplete.filter((r) => r.id === "color-contrast")
		.map((r) => ({...r, nodes: r.nodes.filter((n) => !passed.has(n.any[0].data?.messageKey))})))];
})()`

// strictContrast has axe ask for 4.5:1 of large text too. The other options are axe's own: it takes them all or none.
const strictContrast = `axe.configure({checks: [{id: "color-contrast", options: {
	ignoreUnicode: true, ignoreLength: true, ignorePseudo: false, boldValue: 700, boldTextPt: 14, largeTextPt: 18,
	contrastRatio: {normal: {expected: 4.5}, large: {expected: 4.5}},
	pseudoSizeThreshold: 0.25, shadowOutlineEmMax: 0.1, textStrokeEmMin: 0.03}}]})`

// paletteContrast is the lowest contrast of the charts' text on their card, which is drawn, so that axe does not see it,
// and of the lines, which need 3:1.
const paletteContrast = `(() => {
	const style = getComputedStyle(document.documentElement);
	const light = (name) => {
		const probe = document.createElement("canvas").getContext("2d");
		probe.fillStyle = style.getPropertyValue("--" + name);
		probe.fillRect(0, 0, 1, 1);
		const [r, g, b] = [...probe.getImageData(0, 0, 1, 1).data].map((v) => {
			v /= 255;
			return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
		});
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
	return [Math.min(ratio("text", "card"), ratio("muted", "card")),
		Math.min(...["teal", "blue", "amber", "pink", "red", "muted"].map((c) => ratio(c, "card")))];
})()`

// TestContrastAndRoles: axe-core finds nothing in any state of the page, in light and dark, on a desk and on a phone.
func TestContrastAndRoles(t *testing.T) {
	axe := findAxe(t)
	bin, data := buildHub(t), t.TempDir()
	h := startHub(t, bin, "127.0.0.1:0", data)
	ctx, trouble := chromium(t)
	page := &chromiumTab{ctx: ctx}
	page.navigate(t, h.base+"/")
	await(t, page, live+` && spate.events > 20`)
	page.eval(t, axe+"; null", nil)
	page.eval(t, strictContrast+", null", nil)
	check := func(state string) {
		t.Helper()
		for _, scheme := range []string{"light", "dark"} {
			for _, size := range [][2]int64{{1440, 1000}, {390, 844}} {
				emulate(t, ctx, scheme, size[0], size[1])
				what := fmt.Sprint(state, ", ", scheme, ", ", size)
				require.Empty(t, get[[]string](t, page, runAxe), what)
				lowest := get[[]float64](t, page, paletteContrast)
				require.GreaterOrEqual(t, lowest[0], 4.5, what)
				require.GreaterOrEqual(t, lowest[1], 3.0, what)
			}
		}
	}

	for _, view := range views {
		show(t, page, view)
		check("the view " + view)
	}
	show(t, page, "connections")
	await(t, page, `document.querySelector('[data-view="connections"] td.act button')`)
	page.eval(t, `document.querySelector('[data-view="connections"] td.act button').click()`, nil)
	await(t, page, `document.querySelector("#sure").open`)
	check("a question")
	page.eval(t, `document.querySelector("#sure").close()`, nil)
	show(t, page, "push")
	page.eval(t, `document.querySelector("#one-more").click()`, nil)
	page.eval(t, `(() => { document.querySelector("#push [name=data]").value = "{"; document.querySelector("#push").dispatchEvent(new Event("input")); })()`, nil)
	check("several events")
	page.eval(t, `document.querySelector("#push").reset()`, nil)

	show(t, page, "live")
	pushIn(t, page, `{"one": "thing"}`)
	// Rows that change under axe are no fault of the page. A filter draws the list even where it is paused.
	page.eval(t, `document.querySelector("#pause").click()`, nil)
	page.eval(t, `document.querySelector("[data-show=all]").click()`, nil)
	await(t, page, `document.querySelector('#log tr[data-kind="event"]')`)
	page.eval(t, `document.querySelector(".curl").open = true`, nil)
	check("live")
	show(t, page, "push")
	check("pushed")
	show(t, page, "live")
	page.eval(t, `document.querySelector('#log tr[data-kind="event"] button').click()`, nil)
	page.eval(t, `document.querySelector('[data-part="form"]').click()`, nil)
	check("an event open")
	page.eval(t, `document.querySelector("#detail").close()`, nil)

	page.eval(t, `document.querySelector("#push [name=topic]").value = "x".repeat(300)`, nil)
	page.eval(t, `document.querySelector("#push").requestSubmit()`, nil)
	await(t, page, `document.querySelector("#result").dataset.kind === "bad"`)
	require.Error(t, h.end(syscall.SIGKILL))
	await(t, page, `spate.state === "reconnecting" && `+old+` && document.querySelectorAll("#charts .chart.stale").length === 6`)
	check("away")
	require.Empty(t, trouble())
}

// emulate gives the page a size and a colour scheme, and lets it draw.
func emulate(t *testing.T, ctx context.Context, scheme string, width, height int64) {
	t.Helper()
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, height)))
	cdpDo(t, ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	(&chromiumTab{ctx: ctx}).eval(t, `new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))`, nil)
}
