package procfs

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Interface is the traffic of one network interface since it came up.
type Interface struct {
	Name                 string
	RxBytes, RxPackets   uint64
	TxBytes, TxPackets   uint64
	RxErrors, TxErrors   uint64
	RxDropped, TxDropped uint64
}

// Loopback reports whether the interface is the machine's own loop.
func (i Interface) Loopback() bool { return i.Name == "lo" }

// netColumns is the number of counters per interface in /proc/net/dev: eight received, eight sent.
const netColumns = 16

// ParseNet parses /proc/net/dev, in the file's order.
func ParseNet(r io.Reader) ([]Interface, error) {
	var all []Interface
	sc := bufio.NewScanner(r)
	for line := 1; sc.Scan(); line++ {
		if line <= 2 { // two lines of headings
			continue
		}
		// A counter may follow the colon without a space.
		colon := strings.LastIndexByte(sc.Text(), ':')
		if colon < 0 {
			return nil, fmt.Errorf("%w: line %d has no interface name", ErrFormat, line)
		}
		name, fields := strings.TrimSpace(sc.Text()[:colon]), strings.Fields(sc.Text()[colon+1:])
		if len(fields) < netColumns {
			return nil, fmt.Errorf("%w: %s has %d counters, not %d", ErrFormat, name, len(fields), netColumns)
		}
		var n [netColumns]uint64
		for i := range n {
			v, err := strconv.ParseUint(fields[i], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%w: %s: %q is no number", ErrFormat, name, fields[i])
			}
			n[i] = v
		}
		all = append(all, Interface{
			Name:    name,
			RxBytes: n[0], RxPackets: n[1], RxErrors: n[2], RxDropped: n[3],
			TxBytes: n[8], TxPackets: n[9], TxErrors: n[10], TxDropped: n[11],
		})
	}
	return all, sc.Err()
}
