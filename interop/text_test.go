package interop

import (
	"bufio"
	"io"
	"strings"
)

// readText reads a stream as curl prints it: lines are fields, a blank line ends a block. begun is called with the
// first byte.
func readText(r io.Reader, begun func(), handOut func(event)) {
	lines := bufio.NewScanner(r)
	var e event
	var data []string
	first := true
	for lines.Scan() {
		if first {
			first = false
			begun()
		}
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if data != nil {
				e.Data = strings.Join(data, "\n")
				handOut(e)
			}
			e, data = event{}, nil
		case name == "id":
			e.ID = value
		case name == "event":
			e.Type = value
		case name == "data":
			data = append(data, value)
		}
	}
}
