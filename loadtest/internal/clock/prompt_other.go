//go:build !linux

package clock

// Prompt has no effect here.
func Prompt() (restore func()) { return func() {} }

// Patient has no effect here.
func Patient() {}
