package browsertest_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// pageState is what the dashboard's script keeps in window.spate.
type pageState struct {
	IDs []struct {
		ID   string
		Type string
	}
	Gaps    []any
	State   string
	LastID  string
	Events  int
	Resumes int
	Faults  int
	Trimmed int
}

const readPage = `({IDs: spate.ids, Gaps: spate.gaps, State: spate.state, LastID: spate.lastId, Events: spate.events,
	Resumes: spate.resumes, Faults: spate.faults, Trimmed: spate.trimmed})`

// TestDashboardThroughKillAndRestart: the whole way of an event, from a push to a browser, through crashes and back
// (invariants 2, 3 and 6): the page has every acknowledged ID exactly once and in order, equal to what the log holds,
// and no gap, although the hub was killed twice and ended once in between.
func TestDashboardThroughKillAndRestart(t *testing.T) {
	bin, data := buildHub(t), filepath.Join(t.TempDir(), "data")
	h := startHub(t, bin, "127.0.0.1:0", data)
	ctx, trouble := chromium(t)

	require.NoError(t, chromedp.Do(ctx,
		chromedp.EmulateViewport(1440, 1000),
		chromedp.Navigate(h.base+"/"),
	))
	until(t, ctx, `window.spate && spate.state === "live" && spate.events > 20`)
	pushByForm(t, ctx, h.base)

	acked := &pushers{acked: map[string]string{}}
	for round, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
		reached := make(chan struct{})
		var pushing sync.WaitGroup
		pushing.Go(func() { acked.run(t.Context(), h.base, -1, 150, reached) })
		<-reached
		err := h.end(sig)
		pushing.Wait()
		if sig == syscall.SIGTERM {
			require.NoError(t, err, "a drained hub exits with 0: %s", h.stderr)
		}
		until(t, ctx, `spate.state === "reconnecting"`)
		if round == 0 {
			refuseStreams(t, h.address())
		}
		h = startHub(t, bin, h.address(), data)
		until(t, ctx, fmt.Sprintf(`spate.state === "live" && spate.resumes >= %d`, round+1))
	}
	acked.run(t.Context(), h.base, 150, -1, nil)
	last, err := push(t.Context(), h.base, map[string]any{"data": "the end"})
	require.NoError(t, err)
	acked.acked[last] = "the end"
	until(t, ctx, fmt.Sprintf(`spate.ids.some((e) => e.id === %q)`, last))

	checkPage(t, ctx, h.base, last, acked.acked)
	require.Empty(t, trouble(), "errors on the page")
	screenshots(t, ctx)
}

// refuseStreams answers 503 at the hub's address, as a proxy does in front of a hub that is away, until the page has
// come back by itself: an EventSource gives up for good at such an answer, and the page must make a new one, which
// resumes by the query.
func refuseStreams(t *testing.T, address string) {
	t.Helper()
	resumed := make(chan struct{})
	var once sync.Once
	server := &http.Server{Addr: address, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The browser's own attempts carry the header.
		if r.URL.Query().Get("last_event_id") != "" && r.Header.Get("Last-Event-ID") == "" {
			once.Do(func() { close(resumed) })
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	select {
	case <-resumed:
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(patience):
		require.FailNow(t, "the page does not come back")
	}
	require.NoError(t, server.Close())
	require.ErrorIs(t, <-ended, http.ErrServerClosed)
}

// pushByForm pushes through the page's own form, text that would run as a script if the page took it for markup.
func pushByForm(t *testing.T, ctx context.Context, base string) {
	t.Helper()
	require.NoError(t, chromedp.Do(ctx,
		chromedp.SetValue(chromedp.CSS(`#push textarea[name=data]`), `<img src=x onerror="window.pwned=1">`),
		chromedp.SetValue(chromedp.CSS(`#push input[name=event]`), `greeting`),
		chromedp.Click(chromedp.CSS(`#push button`)),
	))
	until(t, ctx, `/^ID \d+, acknowledged after [\d.]+ ms, here after [\d.]+ ms$/.test(document.querySelector("#result").textContent)`)
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`[data-show=pushed]`))))
	until(t, ctx, `document.querySelector("#log td.type")?.textContent === "greeting" && !window.pwned`)

	// What the hub refuses is said in its words.
	require.NoError(t, chromedp.Do(ctx,
		chromedp.Evaluate[chromedp.Void](`document.querySelector("#push [name=topic]").value = "x".repeat(300); 0`),
		chromedp.Click(chromedp.CSS(`#push button`)),
	))
	until(t, ctx, `/^refused \(4\d\d\): .*topic/.test(document.querySelector("#result").textContent)`)
	require.NoError(t, chromedp.Do(ctx,
		chromedp.Evaluate[chromedp.Void](`document.querySelector("#push").reset(); 0`),
		chromedp.Click(chromedp.CSS(`[data-show=all]`)),
	))

	// A page of another origin is kept out.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/push", strings.NewReader(`{"events":[{"data":"x"}]}`))
	require.NoError(t, err)
	req.Header.Set("Origin", "http://evil.example")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	res.Body.Close()
	require.Equal(t, http.StatusForbidden, res.StatusCode)
}

// checkPage compares what the page saw with what was acknowledged and with the log as a second client reads it.
func checkPage(t *testing.T, ctx context.Context, base, last string, acked map[string]string) {
	t.Helper()
	p, err := chromedp.Run(ctx, chromedp.Evaluate[pageState](readPage))
	require.NoError(t, err)
	require.Empty(t, p.Gaps)
	require.Zero(t, p.Faults, "IDs doubled or late")
	require.Zero(t, p.Trimmed)

	var onPage []string
	for _, e := range p.IDs {
		onPage = append(onPage, e.ID)
		if e.ID == last {
			break
		}
	}
	for i := 1; i < len(onPage); i++ {
		require.Negative(t, compareIDs(onPage[i-1], onPage[i]), "%s before %s", onPage[i-1], onPage[i])
	}

	first := stats(t, base)["log"].(map[string]any)["first"].(string)
	topics := ""
	for _, topic := range stats(t, base)["topics"].([]any) {
		topics += "&topic=" + topic.(string)
	}
	inLog := []string{first}
	data := map[string]string{}
	for _, e := range readUntil(t, base+"/events?last_event_id="+first+topics, last) {
		require.NotEqual(t, "gap", e.event, e.data)
		inLog = append(inLog, e.id)
		data[e.id] = strings.TrimSuffix(e.data, "\n")
	}
	for len(inLog) > 0 && inLog[0] != onPage[0] {
		inLog = inLog[1:] // from before the page was opened
	}
	require.Equal(t, inLog, onPage)
	for id, text := range acked {
		require.Equal(t, text, data[id], "acknowledged event %s", id)
	}
	t.Logf("%d events on the page, %d of them pushed and acknowledged here, %d resumes", len(onPage), len(acked), p.Resumes)
}

func compareIDs(a, b string) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return cmp.Compare(a, b)
}

// until polls the page until the expression is true.
func until(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	err := chromedp.Do(ctx, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(patience)))
	if err != nil {
		state, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`JSON.stringify({...window.spate, ids: window.spate?.ids.length, source: null, result: document.querySelector("#result")?.textContent})`))
		require.NoError(t, err, "waiting for %s; the page is at %s", expression, state)
	}
}

// screenshots writes what the page looks like into the folder SPATETEST_SCREENSHOTS, where it is set.
func screenshots(t *testing.T, ctx context.Context) {
	t.Helper()
	dir := os.Getenv("SPATETEST_SCREENSHOTS")
	for _, shot := range []struct {
		name, scheme  string
		width, height int64
	}{{"dark", "dark", 1440, 1000}, {"light", "light", 1440, 1000}, {"narrow", "dark", 420, 2400}} {
		scheme := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: shot.scheme}}}
		require.NoError(t, chromedp.Do(ctx,
			chromedp.EmulateViewport(shot.width, shot.height),
			func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
				_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, scheme)
				return chromedp.Void{}, err
			},
		))
		// One frame of the page with the new look.
		until(t, ctx, `new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true), 200)))`)
		png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		require.NoError(t, err)
		require.NotEmpty(t, png)
		if dir != "" {
			require.NoError(t, os.MkdirAll(dir, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, shot.name+".png"), png, 0o644))
		}
	}
}
