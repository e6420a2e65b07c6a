//go:build !spatecheck

package engine

// checked is off in release builds; see checked_on.go.
const checked = false
