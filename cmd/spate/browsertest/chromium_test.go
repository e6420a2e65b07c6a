package browsertest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// findChromium returns the browser's path, or skips the test.
func findChromium(t *testing.T) string {
	t.Helper()
	return findBrowser(t, "Chromium", "SPATETEST_CHROMIUM", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
}

func findBrowser(t *testing.T, name, variable string, commands ...string) string {
	t.Helper()
	if command := os.Getenv(variable); command != "" {
		commands = []string{command}
	}
	for _, command := range commands {
		if path, err := exec.LookPath(command); err == nil {
			return path
		}
	}
	t.Skipf("no %s found (looked for %s): install it (Debian: apt-get install %s) or name it by %s",
		name, strings.Join(commands, ", "), commands[0], variable)
	return ""
}

var chromiumOnce sync.Once

// chromiumBrowser is the context of the one headless Chromium of all tests.
var chromiumBrowser context.Context

// chromium opens a tab in a profile of its own. trouble returns the scripts' exceptions and the policy's violations so
// far.
func chromium(t *testing.T) (ctx context.Context, trouble func() []string) {
	t.Helper()
	path := findChromium(t)
	chromiumOnce.Do(func() { startChromium(t, path) })
	require.NotNil(t, chromiumBrowser, "Chromium did not start")
	ctx, cancel := chromedp.NewContext(chromiumBrowser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	var mu sync.Mutex
	var texts []string
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			texts = append(texts, fmt.Sprintf("%s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
				texts = append(texts, e.Entry.Text)
			}
		}
	}))
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	return ctx, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return texts
	}
}

func startChromium(t *testing.T, path string) {
	t.Helper()
	dir, err := scratch()
	require.NoError(t, err)
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(filepath.Join(dir, "chromium")),
		chromedp.NoSandbox, // the test may run as root, and loads nothing but the hub's own page
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	allocated, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(allocated)
	ends = append([]func(){func() { cancel(); stop() }}, ends...)
	require.NoError(t, chromedp.Do(ctx))
	chromiumBrowser = ctx
}

// chromiumTab is a tab by way of the DevTools protocol.
type chromiumTab struct {
	ctx    context.Context
	cancel context.CancelFunc
}

func newChromiumTab(t *testing.T, first context.Context) tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(first)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	return &chromiumTab{ctx, cancel}
}

func (c *chromiumTab) navigate(t *testing.T, url string) {
	t.Helper()
	require.NoError(t, chromedp.Do(c.ctx, chromedp.Navigate(url)))
}

func (c *chromiumTab) eval(t *testing.T, expression string, out any) {
	t.Helper()
	raw, err := chromedp.Run(c.ctx, chromedp.Evaluate[json.RawMessage](expression, func(p *runtime.EvaluateParams) { p.AwaitPromise = new(true) }))
	require.NoError(t, err, expression)
	if out != nil {
		require.NoError(t, json.Unmarshal(raw, out), "%s is %s", expression, raw)
	}
}

func (c *chromiumTab) beforeScripts(t *testing.T, script string) {
	t.Helper()
	cdpDo(t, c.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
}

func (c *chromiumTab) close(*testing.T) { c.cancel() }

// cdpDo calls a command of the DevTools protocol for its effect.
func cdpDo[P, R any](t *testing.T, ctx context.Context, cmd cdp.Command[P, R], params P) {
	t.Helper()
	require.NoError(t, chromedp.Do(ctx, func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, cmd, params)
		return chromedp.Void{}, err
	}))
}
