// Package snippets has no code of its own: its tests compile and run what the
// documents show. Each fenced block of README.md and docs names its language.
//
//   - go: compiled. A block is a whole file, or the body of a function whose
//     parameters stand in a comment before it, in the Markdown's source:
//
//     <!-- with: userOf func(*gin.Context) string, ctx context.Context -->
//
//     <!-- not compiled: REASON --> is for code of other libraries.
//
//   - sh: run, line by line, in a folder of its own and beside a hub that has
//     the place of http://127.0.0.1:8080. A stream is read for a moment.
//     <!-- not run: REASON --> is for what would take long, or change a machine.
//
//   - json and yaml: parsed.
//
//   - text, http, nginx and others: shown.
package snippets
