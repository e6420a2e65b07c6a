package arch_test

import (
	"go/ast"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestExportedNamesAreDocumented: every exported type, function, method, constant and variable of the library has a
// doc comment. A constant or variable may share its group's.
func TestExportedNamesAreDocumented(t *testing.T) {
	for _, src := range sources(t) {
		if src.test || src.file.Name.Name == "main" || src.room() == "examples" {
			continue
		}
		for _, decl := range src.file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && receiverExported(d) {
					assert.NotNil(t, d.Doc, "%s: %s has no doc comment", src.at(d), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					checkSpec(t, src, d, spec)
				}
			}
		}
	}
}

func checkSpec(t *testing.T, src source, d *ast.GenDecl, spec ast.Spec) {
	t.Helper()
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			assert.True(t, d.Doc != nil || s.Doc != nil, "%s: type %s has no doc comment", src.at(s), s.Name.Name)
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() {
				assert.True(t, d.Doc != nil || s.Doc != nil || s.Comment != nil, "%s: %s has no doc comment", src.at(name), name.Name)
			}
		}
	}
}

// receiverExported reports whether d is a function, or a method of an exported type.
func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

// TestHabits: typed atomics only (a plain uint64 beside atomic.LoadUint64 is one forgotten load away from a race), and
// no test that sleeps: tests wait for a condition or run in a synctest bubble.
func TestHabits(t *testing.T) {
	for _, src := range sources(t) {
		ast.Inspect(src.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			if pkg.Name == "atomic" && rawAtomic(sel.Sel.Name) {
				assert.Fail(t, "raw atomic", "%s: use the typed atomics of sync/atomic", src.at(call))
			}
			if src.test && pkg.Name == "time" && sel.Sel.Name == "Sleep" && !usesSynctest(src) {
				assert.Fail(t, "sleeping test", "%s: wait for the condition instead", src.at(call))
			}
			return true
		})
	}
}

func rawAtomic(name string) bool {
	for _, prefix := range []string{"Load", "Store", "Add", "Swap", "CompareAndSwap", "And", "Or"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" {
			return true
		}
	}
	return false
}

// usesSynctest: inside a bubble a sleep moves the fake clock and costs nothing.
func usesSynctest(src source) bool {
	for _, imp := range src.file.Imports {
		if imp.Path.Value == `"testing/synctest"` {
			return true
		}
	}
	return false
}
