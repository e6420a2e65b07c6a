package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
		if !src.test || usesSynctest(src) {
			continue
		}
		if _, may := mayPause[src.path]; may {
			assert.NotEmpty(t, pauses(src.file), "%s: nothing of it pauses: it needs no exception", src.path)
			continue
		}
		for _, at := range pauses(src.file) {
			assert.Fail(t, "sleeping test", "%s: a pause: wait for the condition instead", src.at(at))
		}
	}
}

// mayPause are the test files that may wait for a time, and why.
var mayPause = map[string]string{
	"bench/append_test.go":                           "between looks whether this process is at rest",
	"loadtest/internal/run/observe_test.go":          "the time that a server takes for an answer, which is measured",
	"bench/resume_storm_test.go":                     "a stretch in which nothing but live events goes on, to compare with",
	"bench/coding_test.go":                           "events at a rate, and output that is over when nothing more comes of another process",
	"cluster/cluster_test.go":                        "between looks at a condition, and storms at random times",
	"cluster/jetstream/natstest/exactlyonce_test.go": "between looks at a condition, and storms at random times",
	"cmd/spate/once_test.go":                         "a client that tries again while the hub is killed",
	"engine/fakelog_test.go":                         "the time that a disk takes: tests set it in a bubble",
}

// pauses returns the receives from a timer that nothing else can end: all but those that
// are one case of a select among several.
func pauses(file *ast.File) (at []ast.Node) {
	timers := map[string]bool{} // variables that are one
	cases := map[ast.Node]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, value := range n.Rhs {
				if name, ok := n.Lhs[i].(*ast.Ident); ok && len(n.Lhs) == len(n.Rhs) && callsTime(value, "NewTimer", "NewTicker", "After", "Tick") {
					timers[name.Name] = true
				}
			}
		case *ast.SelectStmt:
			if len(n.Body.List) > 1 {
				for _, c := range n.Body.List {
					if comm, ok := c.(*ast.CommClause).Comm.(*ast.ExprStmt); ok {
						cases[comm.X] = true
					}
				}
			}
		case *ast.UnaryExpr:
			if n.Op == token.ARROW && !cases[n] && timed(n.X, timers) {
				at = append(at, n)
			}
		}
		return true
	})
	return at
}

// timed says whether a channel is a timer's.
func timed(ch ast.Expr, timers map[string]bool) bool {
	switch ch := ch.(type) {
	case *ast.Ident:
		return timers[ch.Name]
	case *ast.SelectorExpr:
		name, ok := ch.X.(*ast.Ident)
		return ch.Sel.Name == "C" && (callsTime(ch.X, "NewTimer", "NewTicker") || ok && timers[name.Name])
	}
	return callsTime(ch, "After", "Tick")
}

// callsTime says whether an expression calls one of these functions of package time.
func callsTime(e ast.Expr, names ...string) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return ok && pkg.Name == "time" && slices.Contains(names, sel.Sel.Name)
}

// TestPausesAreSeen: the rule above sees what it is meant to.
func TestPausesAreSeen(t *testing.T) {
	const code = `package p
func f() {
	<-time.After(1)                           // 1
	for ; ; <-time.Tick(1) {                  // 2
	}
	<-time.NewTimer(1).C                      // 3
	timer := time.NewTimer(1)
	<-timer.C                                 // 4
	select { case <-timer.C: }                // 5
	late := time.After(1)
	_ = <-late                                // 6
	select { case <-timer.C: case <-done: }
	select { case <-time.After(1): default: }
	<-done
	<-other.C
}`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", code, 0)
	require.NoError(t, err)
	require.Len(t, pauses(file), 6)
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
