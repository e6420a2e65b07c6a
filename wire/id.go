package wire

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// ErrID is the error of [ParseID], to be found with errors.Is.
var ErrID = errors.New("wire: not an event ID")

// IDHeadroom is the room that [PutID] needs: "id: ", up to 20 digits, a line feed.
const IDHeadroom = 25

// ParseID reads an ID as [FormatID] writes it: decimal digits that fit a uint64,
// without sign, spaces or leading zeros. Anything else is [ErrID], so that each
// ID has one spelling.
func ParseID(s string) (uint64, error) {
	if s == "" || len(s) > 20 || (s[0] == '0' && len(s) > 1) {
		return 0, badID(s)
	}
	var id uint64
	for i := range len(s) {
		d := uint64(s[i] - '0')
		// A byte below '0' wraps around to a large d.
		if d > 9 || id > (math.MaxUint64-d)/10 {
			return 0, badID(s)
		}
		id = id*10 + d
	}
	return id, nil
}

func badID(s string) error {
	return fmt.Errorf("%w: %.40q", ErrID, s)
}

// FormatID returns the decimal form of id.
func FormatID(id uint64) string { return strconv.FormatUint(id, 10) }

// PutID writes "id: <id>\n" into b so that it ends just before b[IDHeadroom],
// and returns where it starts. A body encoded at b[IDHeadroom:] becomes the
// frame b[off:] without being moved. len(b) must be at least [IDHeadroom];
// otherwise PutID panics.
func PutID(b []byte, id uint64) (off int) {
	_ = b[IDHeadroom-1]
	i := IDHeadroom - 1
	b[i] = '\n'
	for {
		i--
		b[i] = byte('0' + id%10)
		id /= 10
		if id == 0 {
			break
		}
	}
	i -= len(idPrefix)
	copy(b[i:], idPrefix)
	return i
}
