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
	for id >= 100 {
		pair := id % 100 * 2
		id /= 100
		i -= 2
		b[i], b[i+1] = digitPairs[pair], digitPairs[pair+1]
	}
	i--
	b[i] = digitPairs[2*id+1]
	if id >= 10 {
		i--
		b[i] = digitPairs[2*id]
	}
	i -= len(idPrefix)
	copy(b[i:], idPrefix)
	return i
}

// digitPairs are the two digits of each number below 100: half as many divisions
// as a digit at a time.
const digitPairs = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849" +
	"5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"
