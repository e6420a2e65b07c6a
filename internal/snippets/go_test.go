package snippets_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// packages are what fragments may use without importing it.
var packages = []string{
	"bytes", "context", "encoding/json", "errors", "fmt", "io", "log", "log/slog", "net/http", "os", "strings", "time",
	"github.com/gin-gonic/gin", "github.com/nats-io/nats.go",
	"github.com/spatehub/spate/cluster", "github.com/spatehub/spate/cluster/jetstream",
	"github.com/spatehub/spate/client", "github.com/spatehub/spate/engine", "github.com/spatehub/spate/persist",
	"github.com/spatehub/spate/persist/pebblelog", "github.com/spatehub/spate/serve", "github.com/spatehub/spate/serve/auth",
	"github.com/spatehub/spate/serve/limit", "github.com/spatehub/spate/serve/stream", "github.com/spatehub/spate/wire",
}

// TestGoBlocksCompile: what the documents show of Go is Go, of this version of spate.
func TestGoBlocksCompile(t *testing.T) {
	check := checker(t)
	n := 0
	for _, b := range blocks(t) {
		if b.language != "go" || strings.HasPrefix(b.comment, "not compiled: ") {
			continue
		}
		n++
		for _, err := range check(source(b)) {
			t.Errorf("%s: %v", b.where, err)
		}
	}
	require.Greater(t, n, 5)

	require.NotEmpty(t, check(source(block{language: "go", text: "hub.Push(nil)\n"})), "the test itself sees errors")
	require.Empty(t, check(source(block{language: "go", comment: "with: hub *engine.Hub", text: "hub.Push(nil)\n"})))
}

// source makes a file of a block.
func source(b block) string {
	if strings.HasPrefix(b.text, "package ") {
		return b.text
	}
	params := strings.TrimPrefix(b.comment, "with: ")
	text := strings.ReplaceAll(b.text, "…", "")
	// What is declared at the top level stays there.
	if regexp.MustCompile(`(?m)^(func|type) `).MatchString(text) {
		return header(text+params) + text
	}
	return header(text+params) + fmt.Sprintf("func fragment(%s) error {\n%s\n\treturn nil\n}\n", params, text)
}

// header imports the packages whose names the text uses.
func header(text string) string {
	h := "package fragment\n\nimport (\n"
	for _, path := range packages {
		name := strings.TrimSuffix(path[strings.LastIndex(path, "/")+1:], ".go")
		if regexp.MustCompile(`\b` + name + `\.[A-Z]`).MatchString(text) {
			h += fmt.Sprintf("\t%q\n", path)
		}
	}
	return h + ")\n\n"
}

// checker returns a function that type-checks a file. What a fragment declares and does not use is no error.
func checker(t *testing.T) func(src string) []error {
	t.Helper()
	list := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}"}, packages...)...)
	list.Stderr = os.Stderr
	out, err := list.Output()
	require.NoError(t, err)
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[path] = file
	}
	files := token.NewFileSet()
	imp := importer.ForCompiler(files, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("package %q is not among those that snippets may use", path)
		}
		text, err := os.ReadFile(exports[path])
		return io.NopCloser(bytes.NewReader(text)), err
	})
	return func(src string) (errs []error) {
		file, err := parser.ParseFile(files, "block.go", src, parser.SkipObjectResolution)
		if err != nil {
			return []error{err}
		}
		conf := types.Config{Importer: imp, Error: func(err error) {
			if e, ok := err.(types.Error); !ok || !e.Soft {
				errs = append(errs, err)
			}
		}}
		_, _ = conf.Check("fragment", files, []*ast.File{file}, nil)
		return slices.Compact(errs)
	}
}
