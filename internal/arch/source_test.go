package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const modulePath = "github.com/spatehub/spate"

// source is one Go file of the main module.
type source struct {
	path string // slash-separated, relative to the module's root
	dir  string // "." for the root
	test bool
	fset *token.FileSet
	file *ast.File
}

// room is where the file's package belongs: "engine" for engine/x.go, "." for the root.
func (s source) room() string { return roomOf(s.dir) }

// roomOf is the innermost folder on the way to dir that has an entry in rooms, or else the top one.
func roomOf(dir string) string {
	for d := dir; ; d = path.Dir(d) {
		if _, known := rooms[d]; known || !strings.Contains(d, "/") {
			return d
		}
	}
}

// at says where a node of the file stands.
func (s source) at(n ast.Node) string {
	return s.fset.Position(n.Pos()).String()
}

// sources parses every Go file of the main module, whatever its build tags; nested modules and testdata are left out.
func sources(t *testing.T) []source {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	var all []source
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			return skipDir(path, rel, d.Name())
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, rel, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{path: rel, dir: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(rel, "_test.go"), fset: fset, file: file})
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

// skipDir returns filepath.SkipDir for folders that are no part of the main module's code.
func skipDir(path, rel, name string) error {
	if rel == "." {
		return nil
	}
	if strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "data" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}
