package wire

import (
	"errors"
	"fmt"
)

// What an event may be at most, on both ends. The bound that is set is one on the
// data, as it was pushed; all others follow from it.
const (
	// DefaultMaxEventSize is the bound on an event's data where none is set, of
	// hubs as of parsers: 1 MiB.
	DefaultMaxEventSize = 1 << 20

	// MaxNameLen is the longest topic, key, user name or event type, in bytes.
	MaxNameLen = 256

	// LineRoom is how much longer than the data a line may be, and the lines of
	// an event that are not data: field names, an ID, a type, a retry time.
	LineRoom = 1 << 10
)

// ErrDataTooLarge is wrapped by the error of [AppendBodyMax] for data beyond its
// bound.
var ErrDataTooLarge = errors.New("wire: event data is too large")

// MaxFrameLen is the length of the longest frame of an event with so many bytes
// of data: each of them may be a line end, which takes a new data field.
func MaxFrameLen(data int) int {
	const retryDigits = 20
	return IDHeadroom + len(eventPrefix) + MaxNameLen + len("\n") + len(retryPrefix) + retryDigits + len("\n") +
		len(dataPrefix) + data*len("\n"+dataPrefix) + len("\n\n")
}

func errDataSize(size, most int) error {
	return &FieldError{Field: "data", Reason: fmt.Sprintf("has %d bytes, more than the %d that are taken", size, most), Err: ErrDataTooLarge}
}
