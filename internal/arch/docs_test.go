package arch_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// documents returns the text of the repository's Markdown files by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	for _, pattern := range []string{"../../*.md", "../../docs/*.md"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			docs[path] = string(text)
		}
	}
	require.NotEmpty(t, docs)
	return docs
}

// TestNamedTestsExist: a document that names a test, as `folder.TestName`, names one that is there.
func TestNamedTestsExist(t *testing.T) {
	there := map[string]bool{}
	for _, src := range sources(t) {
		for _, decl := range src.file.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && src.test && d.Recv == nil {
				there[src.dir+"."+d.Name.Name] = true
			}
		}
	}
	named := regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`")
	for path, text := range documents(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if nested(m[1]) {
				require.True(t, declared(t, m[1], m[2]), "%s: there is no %s.%s", path, m[1], m[2])
				continue
			}
			assert.True(t, there[m[1]+"."+m[2]], "%s: there is no %s.%s", path, m[1], m[2])
		}
	}
}

// nested reports whether the folder is a module of its own, which sources leaves out.
func nested(dir string) bool {
	_, err := os.Stat(filepath.Join("../..", dir, "go.mod"))
	return err == nil
}

// declared looks for a test in a nested module.
func declared(t *testing.T, dir, name string) bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("../..", dir, "*_test.go"))
	require.NoError(t, err)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if strings.Contains(string(text), "func "+name+"(") {
			return true
		}
	}
	return false
}

// TestLinksLeadSomewhere: a relative link of a document names a file or folder of the repository, and so does a path in
// the file map.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	file := regexp.MustCompile("`((?:wire|ringbuf|persist|engine|serve|client|cmd|internal)/[a-z_/]+(?:\\.go)?)`")
	for path, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			_, err := os.Stat(filepath.Join(filepath.Dir(path), m[1]))
			assert.NoError(t, err, path)
		}
		for _, m := range file.FindAllStringSubmatch(text, -1) {
			_, err := os.Stat(filepath.Join("../..", m[1]))
			assert.NoError(t, err, path)
		}
	}
}
