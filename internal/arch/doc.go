// Package arch holds the repository's own rules as tests: which package may import which (the rooms of
// docs/architecture.md), that every exported name is documented, and a few habits that a linter would not know.
// It exports nothing.
package arch
