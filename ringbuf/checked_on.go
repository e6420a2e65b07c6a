//go:build spatecheck

package ringbuf

const checked = true
