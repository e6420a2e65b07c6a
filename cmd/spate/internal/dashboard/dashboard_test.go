package dashboard_test

import (
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/cmd/spate/internal/dashboard"
)

// handler is made once: it codes every file.
var handler = sync.OnceValue(dashboard.Handler)

func get(t *testing.T, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(text)
}

func TestThePageIsServedUnderAStrictPolicy(t *testing.T) {
	res := get(t, "GET", "/")
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, "text/html; charset=utf-8", res.Header.Get("Content-Type"))
	require.Equal(t, dashboard.Policy, res.Header.Get("Content-Security-Policy"))
	require.NotContains(t, dashboard.Policy, "unsafe")
	require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))

	again := get(t, "GET", "/", "If-None-Match", res.Header.Get("ETag"))
	require.Equal(t, http.StatusNotModified, again.StatusCode)
	require.Equal(t, 404, get(t, "GET", "/ui/").StatusCode)
	require.Equal(t, 404, get(t, "GET", "/nothing").StatusCode)
	require.Equal(t, 404, get(t, "GET", "/ui/../dashboard.go").StatusCode)
}

// TestNothingInlineNothingForeign: the page's policy would block inline code and other hosts, so there must be none.
func TestNothingInlineNothingForeign(t *testing.T) {
	seen := map[string]bool{}
	var visit func(path string)
	imports := regexp.MustCompile(`from "\./([a-z]+\.js)"`)
	links := regexp.MustCompile(`"/?(ui/[^"]+)"`)
	preloads := regexp.MustCompile(`<link rel="modulepreload" href="(ui/[^"]+)">`)
	var preloaded []string
	visit = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		res := get(t, "GET", path)
		require.Equal(t, 200, res.StatusCode, path)
		text := body(t, res)
		require.NotRegexp(t, `(?i)(src|href)="(https?:)?//|url\(\s*['"]?https?:|@import|\son[a-z]+=|\sstyle=|innerHTML|\beval\(`, text, path)
		for _, m := range preloads.FindAllStringSubmatch(text, -1) {
			preloaded = append(preloaded, "/"+m[1])
		}
		text = preloads.ReplaceAllString(text, "") // something else has to lead there
		for _, m := range links.FindAllStringSubmatch(text, -1) {
			visit("/" + m[1])
		}
		for _, m := range imports.FindAllStringSubmatch(text, -1) {
			visit("/ui/" + m[1])
		}
		switch {
		case strings.HasSuffix(path, ".js"):
			require.Equal(t, "text/javascript; charset=utf-8", res.Header.Get("Content-Type"))
		case strings.HasSuffix(path, ".css"):
			require.Equal(t, "text/css; charset=utf-8", res.Header.Get("Content-Type"))
		}
	}
	visit("/")
	require.NotRegexp(t, `(src|href)="/`, body(t, get(t, "GET", "/")), "a proxy may have put a path before the hub's")
	files, err := filepath.Glob("ui/*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		require.Contains(t, seen, strings.Replace("/"+file, "/ui/index.html", "/", 1), "nothing leads to it")
	}
	maps.DeleteFunc(seen, func(path string, _ bool) bool { return !strings.HasSuffix(path, ".js") || path == "/ui/worker.js" })
	require.ElementsMatch(t, slices.Collect(maps.Keys(seen)), preloaded, "asked for at once")
}

// TestThePageNamesItsBuild: a page of another build, left open over an upgrade, must not share a worker with this one.
func TestThePageNamesItsBuild(t *testing.T) {
	text := body(t, get(t, "GET", "/"))
	require.Regexp(t, `data-build="[0-9a-f]{16}"`, text)
	require.NotContains(t, text, "{{")
	require.NotEqual(t, `""`, get(t, "GET", "/").Header.Get("ETag"))
}

// TestFilesAreShortForBrowsers: coded where a client says that it takes that, the same otherwise, each form with a tag of
// its own.
func TestFilesAreShortForBrowsers(t *testing.T) {
	plain := get(t, "GET", "/ui/style.css")
	require.Empty(t, plain.Header.Get("Content-Encoding"))
	want := body(t, plain)
	for accept, coded := range map[string]bool{"gzip": true, "br, GZIP;q=0.5": true, "": false, "gzip;q=0": false, "gzip; q=0.000": false, "br": false, "gzip;q=x": false, "xgzip": false} {
		res := get(t, "GET", "/ui/style.css", "Accept-Encoding", accept)
		require.Equal(t, "Accept-Encoding", res.Header.Get("Vary"))
		if !coded {
			require.Empty(t, res.Header.Get("Content-Encoding"), accept)
			require.Equal(t, want, body(t, res), accept)
			continue
		}
		require.Equal(t, "gzip", res.Header.Get("Content-Encoding"), accept)
		require.NotEqual(t, plain.Header.Get("ETag"), res.Header.Get("ETag"))
		r, err := gzip.NewReader(res.Body)
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, want, string(text))
		again := get(t, "GET", "/ui/style.css", "Accept-Encoding", accept, "If-None-Match", res.Header.Get("ETag"))
		require.Equal(t, http.StatusNotModified, again.StatusCode)
	}
}
