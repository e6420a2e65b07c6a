//go:build linux

package main

import (
	"strings"
	"time"
)

// behaviour is one thing that a client does or does not. A try says whether; its
// error is errNoWay where the client cannot even be asked for it.
type behaviour struct {
	group string
	name  string
	try   func(library) (bool, error)
}

// behaviours are all that is tried, in the table's order.
var behaviours = append(append(parsing, connecting...), living...)

// parsing is what the WHATWG standard says of the text.
var parsing = []behaviour{
	{"Parsing", "lines that end with CRLF", reads("id: 7\r\nevent: order\r\ndata: \"x\"\r\n\r\n", `"x"`)},
	{"Parsing", "lines that end with CR", reads("event: order\rdata: \"x\"\r\r", `"x"`)},
	{"Parsing", "CRLF split between packets", readsParts([]string{"data: \"x\"\r", "\n\r", "\ndata: \"y\"\r\n\r\n"}, `"x"`, `"y"`)},
	{"Parsing", "a byte order mark", reads("\ufeffdata: \"x\"\n\n", `"x"`)},
	{"Parsing", "several lines of data are joined by line feeds", reads("data: [1,\ndata: 2]\n\n", "[1,\n2]")},
	{"Parsing", "one space behind the colon goes, others stay", reads("data:  x \n\n", " x ")},
	{"Parsing", "data that is not JSON", reads("data: plain text\n\n", "plain text")},
	{"Parsing", "an event with empty data is one", reads("data:\n\ndata: \"x\"\n\n", "", `"x"`)},
	{"Parsing", "comments and retry bring no event, with blank lines or without", reads(": hi\n\nretry: 10\n\n: hi\n:\n\ndata: \"x\"\n\n", `"x"`)},
	{"Parsing", "a type without data brings no event", reads("event: order\n\ndata: \"x\"\n\n", `"x"`)},
	{"Parsing", "an event that the end cuts off is dropped", func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{sayAndEnd("data: \"x\"\n\ndata: \"cut\"\n"), say("data: \"y\"\n\n")}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return b.dataIs(`"x"`, `"y"`) })
		})
	}},
	{"Parsing", "an event without a type is a message", func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{say("data: \"x\"\n\n")}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return len(b.events) == 1 && b.events[0].kind == "message" })
		})
	}},
	{"Parsing", "an event of the type `close` is like any other", func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{say("event: close\ndata: \"x\"\n\ndata: \"y\"\n\n")}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return b.dataIs(`"x"`, `"y"`) })
		})
	}},
	{"Parsing", "an event of 1 MiB, without a setting", large(0)},
	{"Parsing", "an event of 1 MiB, with a setting where it takes one", func(lib library) (bool, error) {
		if ok, err := large(0)(lib); ok || err != nil {
			return ok, err
		}
		return large(4 << 20)(lib)
	}},
	{"Parsing", "a line without end takes no memory without end", endless},
	{"Parsing", "comments can be seen", func(lib library) (bool, error) {
		var comment string
		r := request{}
		var b *bed
		r.Comment = func(text string) { b.change(func() { comment = text }) }
		return withBedAt(lib, r, []turn{say(": hello\n")}, &b, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return strings.TrimSpace(comment) == "hello" })
		})
	}},
}

// reads requires that a stream gives just this data.
func reads(text string, want ...string) func(library) (bool, error) {
	return readsParts([]string{text}, want...)
}

func readsParts(parts []string, want ...string) func(library) (bool, error) {
	return func(lib library) (bool, error) {
		return withBed(lib, request{}, []turn{say(parts...)}, func(b *bed, _ running) bool {
			if !b.until(soon, func() bool { return len(b.events) >= len(want) }) {
				return false
			}
			b.until(100*time.Millisecond, func() bool { return len(b.events) > len(want) }) // one too many
			return b.until(0, func() bool { return b.dataIs(want...) })
		})
	}
}

func large(setting int) func(library) (bool, error) {
	return func(lib library) (bool, error) {
		data := `"` + strings.Repeat("x", 1<<20-2) + `"`
		return withBed(lib, request{MaxEvent: setting}, []turn{say("data: " + data + "\n\n")}, func(b *bed, _ running) bool {
			return b.until(soon, func() bool { return b.dataIs(data) })
		})
	}
}

// withBed runs a try on a client that reads from a bed.
func withBed(lib library, r request, turns []turn, try func(*bed, running) bool) (bool, error) {
	var b *bed
	return withBedAt(lib, r, turns, &b, try)
}

// withBedAt also tells where the bed is, for callbacks that note something there.
// Nothing is stopped or closed: the process ends with the try, and one of the
// clients panics now and then when it is stopped, which is the matter of the tries
// that stop.
func withBedAt(lib library, r request, turns []turn, at **bed, try func(*bed, running) bool) (bool, error) {
	b := newBed(lib, turns...)
	*at = b
	run, err := b.start(r)
	if err != nil {
		return false, err
	}
	return try(b, run), nil
}
