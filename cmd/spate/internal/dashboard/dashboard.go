// Package dashboard serves the hub's own web page: live charts of the demo feed, the state of the page's stream, recent
// events, and a form that pushes one. Everything is embedded; the page loads nothing from elsewhere and its policy
// forbids it.
package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/spatehub/spate/serve/stream"
)

//go:embed ui
var files embed.FS

// Policy is the page's Content-Security-Policy: scripts, styles and connections from this hub only, nothing inline, no
// frame around it.
const Policy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// The page, and what another thread of its runs.
const (
	page   = "ui/index.html"
	worker = "ui/worker.js"
)

// asset is one embedded file, ready to be served.
type asset struct {
	kind  string
	plain form
	gzip  form // without a body where it would not be smaller
}

// form is what is sent of an asset, and its ETag.
type form struct {
	body []byte
	etag string
}

// Handler serves the page at / and its files below /ui/ to GET and HEAD, which its routes have to see to, and answers 404
// for any other path.
func Handler() http.Handler {
	assets := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path
		if name == "/" {
			name = "/ui/index.html"
		}
		a, ok := assets[name]
		if !ok {
			stream.WriteError(w, &stream.Error{Status: http.StatusNotFound, Message: "the dashboard has nothing here"})
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", Policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		h.Add("Vary", "Accept-Encoding") // beside what the origin changes
		f := &a.plain
		if a.gzip.body != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
			f = &a.gzip
			h.Set("Content-Encoding", "gzip")
		}
		h.Set("ETag", f.etag)
		if r.Header.Get("If-None-Match") == f.etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Type", a.kind)
		_, _ = w.Write(f.body)
	})
}

// load reads the embedded files, and writes into the page which build they are: pages that were loaded from two builds
// must not share a worker. It also names all modules there, so that a browser asks for them at once, and not for some
// when it has read others. An error could only mean a broken build, which the package's test would have shown.
func load() map[string]asset {
	assets := map[string]asset{}
	build := sha256.New()
	var modules bytes.Buffer
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
		if path.Ext(name) == ".js" && name != worker {
			fmt.Fprintf(&modules, "<link rel=\"modulepreload\" href=%q>\n", name)
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	sum := hex.EncodeToString(build.Sum(nil)[:8])
	text := strings.NewReplacer("{{build}}", sum, "{{modules}}", modules.String()).Replace(string(assets["/"+page].plain.body))
	assets["/"+page] = newAsset(page, []byte(text))
	return assets
}

func newAsset(name string, body []byte) asset {
	a := asset{kind: contentType(name), plain: newForm(body)}
	var short bytes.Buffer
	w, _ := gzip.NewWriterLevel(&short, gzip.BestCompression) // the level is a good one
	_, _ = w.Write(body)                                      // a buffer takes everything
	_ = w.Close()
	if short.Len() < len(body) {
		a.gzip = newForm(short.Bytes())
	}
	return a
}

func newForm(body []byte) form {
	sum := sha256.Sum256(body)
	return form{body: body, etag: `"` + hex.EncodeToString(sum[:8]) + `"`}
}

// acceptsGzip reads an Accept-Encoding: gzip is named, and not excluded.
func acceptsGzip(text string) bool {
	for member := range strings.SplitSeq(text, ",") {
		name, params, _ := strings.Cut(member, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		weight, given := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		return !given || err == nil && q > 0
	}
	return false
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
