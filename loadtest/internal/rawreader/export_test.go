//go:build linux

package rawreader

import "unsafe"

// StreamSize is the memory of one stream, without what it points to.
const StreamSize = unsafe.Sizeof(stream{})
