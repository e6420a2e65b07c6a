//go:build spatecheck

package engine

// checked turns on the checks of test builds: released buffers are spoilt and
// counted.
const checked = true
