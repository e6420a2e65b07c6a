// Package dashboard serves the hub's own web page: live charts of the demo feed, the state of the page's stream, recent
// events, and a form that pushes one. Everything is embedded; the page loads nothing from elsewhere and its policy
// forbids it.
package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
)

//go:embed ui
var files embed.FS

// Policy is the page's Content-Security-Policy: scripts, styles and connections from this hub only, nothing inline, no
// frame around it.
const Policy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// asset is one embedded file, ready to be served.
type asset struct {
	body []byte
	kind string
	etag string
}

// Handler serves the page at / and its files below /ui/. It answers GET and HEAD alone, and 404 for any other path.
func Handler() http.Handler {
	assets := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path
		if name == "/" {
			name = "/ui/index.html"
		}
		a, ok := assets[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", Policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", a.etag)
		if r.Header.Get("If-None-Match") == a.etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Type", a.kind)
		_, _ = w.Write(a.body)
	})
}

// load reads the embedded files, and writes into the page which build they are: pages that were loaded from two builds
// must not share a worker. An error could only mean a broken build, which the package's test would have shown.
func load() map[string]asset {
	assets := map[string]asset{}
	build := sha256.New()
	err := fs.WalkDir(files, "ui", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(build, "%s %d\n%s", name, len(body), body)
		assets["/"+name] = newAsset(name, body)
		return nil
	})
	if err != nil {
		panic(err)
	}
	const page = "ui/index.html"
	sum := hex.EncodeToString(build.Sum(nil)[:8])
	assets["/"+page] = newAsset(page, bytes.ReplaceAll(assets["/"+page].body, []byte("{{build}}"), []byte(sum)))
	return assets
}

func newAsset(name string, body []byte) asset {
	sum := sha256.Sum256(body)
	return asset{body: body, kind: contentType(name), etag: `"` + hex.EncodeToString(sum[:8]) + `"`}
}

// contentType does not ask the system's table of types, which differs from machine to machine.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "application/octet-stream"
}
