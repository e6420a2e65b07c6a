//go:build !spatecheck

package ringbuf

// checked turns on the checks of checked.go. They cost a look at lines that
// producers write, and are therefore in builds with the tag spatecheck only.
const checked = false
