package browsertest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// TestPictures makes the README's pictures of the dashboard, of a hub under a small load, into the folder
// SPATETEST_SCREENSHOTS; without it there is nothing to do.
func TestPictures(t *testing.T) {
	dir := os.Getenv("SPATETEST_SCREENSHOTS")
	if dir == "" {
		t.Skip("SPATETEST_SCREENSHOTS names no folder")
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	h := startPlain(t, "--retain-bytes", "64MiB")
	connect(t, h, 200, "topic=orders.*")
	ctx, _ := chromium(t)
	page := &chromiumTab{ctx: ctx}
	page.navigate(t, h.base+"/#overview")
	await(t, page, live)
	for i, begun := 0, time.Now(); time.Since(begun) < 100*time.Second; i++ {
		post(t, h, fmt.Sprintf(`{"events":[{"event":"order","topic":"orders.%d","key":"order-%d","data":{"item":"book","count":%d,"city":"Lisbon"}}]}`, i%17, i%17, 1+i%5))
		if i%10 == 0 {
			post(t, h, `{"uids":["ann"],"events":[{"event":"mail","data":{"unread":3}}]}`)
		}
	}
	for _, shot := range []struct{ view, scheme, ready string }{
		{"overview", "dark", figure("clients") + ` === "201"`},
		{"live", "light", `!document.querySelector("#log .topic").textContent.includes("?")`},
	} {
		show(t, page, shot.view)
		emulate(t, ctx, shot.scheme, 1440, 900)
		await(t, page, shot.ready)
		png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "dashboard-"+shot.view+".png"), png, 0o644))
	}
}
