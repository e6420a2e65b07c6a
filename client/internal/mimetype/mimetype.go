// Package mimetype reads Content-Type headers as browsers do: by the rules of
// MIME Sniffing ("parse a MIME type") and Fetch ("extract a MIME type"), which
// take much that package mime refuses.
package mimetype

import (
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Essence returns the type and subtype, such as "text/html" and in lower case,
// of a response whose Content-Type headers have these values; "" if there is
// none. Where several types are given, in several headers or between commas, the
// last that is one counts; parameters are not looked at.
func Essence(values []string) string {
	found := ""
	for _, value := range split(strings.Join(values, ",")) {
		if essence := parse(value); essence != "" && essence != "*/*" {
			found = essence
		}
	}
	return found
}

// split cuts a header's value at the commas outside of quoted strings. A quote
// that nothing closes reaches to the end.
func split(value string) []string {
	var parts []string
	begin, quoted := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			parts = append(parts, value[begin:i])
			begin = i + 1
		}
	}
	return append(parts, value[begin:])
}

// whitespace is what may surround a type.
const whitespace = " \t\r\n"

// parse returns the essence of one MIME type, "" for what is none.
func parse(value string) string {
	essence, _, _ := strings.Cut(value, ";")
	essence = strings.Trim(essence, whitespace)
	kind, subtype, _ := strings.Cut(essence, "/")
	if !httpguts.ValidHeaderFieldName(kind) || !httpguts.ValidHeaderFieldName(subtype) { // that is: tokens
		return ""
	}
	return strings.ToLower(essence)
}
