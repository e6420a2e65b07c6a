package arch_test

import (
	"go/ast"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestVariablesOfTestsAreNotTheHubs: what tests and benchmarks read from the environment has no name in SPATE_, where the
// hub's settings are: the hubs that they start refuse what is no flag's name.
func TestVariablesOfTestsAreNotTheHubs(t *testing.T) {
	read := 0
	for _, src := range sources(t) {
		if !src.test {
			continue
		}
		ast.Inspect(src.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "Getenv" && f.Sel.Name != "LookupEnv" {
				return true
			}
			if lit, ok := call.Args[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				name, _ := strconv.Unquote(lit.Value)
				assert.False(t, strings.HasPrefix(name, "SPATE_"), "%s: %s", src.at(call), name)
				read++
			}
			return true
		})
	}
	assert.NotZero(t, read, "this test reads none")
}
