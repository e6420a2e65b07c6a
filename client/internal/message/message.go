// Package message finds what a server wants to say in the body of an error: in
// JSON of the usual forms, application/problem+json among them, or in text.
package message

import (
	"encoding/json"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Max is the longest message, in bytes.
const Max = 512

// Of returns the message of a body of the given media type, on one line without
// control characters, and of at most [Max] bytes; "" if there is none. HTML has
// none: it is a page for people.
func Of(mediaType string, body []byte) string {
	if mediaType == "application/json" || strings.HasSuffix(mediaType, "+json") {
		return clean(ofJSON(body))
	}
	if strings.HasPrefix(mediaType, "text/") && mediaType != "text/html" {
		return clean(string(body))
	}
	return ""
}

// OfData is the message of an event's data, which is JSON or text.
func OfData(data string) string {
	if json.Valid([]byte(data)) {
		if text := clean(ofJSON([]byte(data))); text != "" {
			return text
		}
	}
	return clean(data)
}

// ofJSON knows {"error": text}, with a "field" or without, {"error": {"message":
// text}}, {"message": text}, a bare text, and RFC 9457, with a "field" or without.
func ofJSON(body []byte) string {
	var text string
	if json.Unmarshal(body, &text) == nil {
		return text
	}
	var form map[string]json.RawMessage
	if json.Unmarshal(body, &form) != nil {
		return ""
	}
	member := func(name string) (text string) {
		_ = json.Unmarshal(form[name], &text) // of another type: none
		return text
	}
	if text = member("error"); text != "" {
		return join(": ", member("field"), text)
	}
	if inner := form["error"]; len(inner) > 0 && inner[0] == '{' {
		return ofJSON(inner)
	}
	if text = member("message"); text != "" {
		return text
	}
	detail := join(": ", member("field"), member("detail"))
	if detail != "" && saysStatus(form["status"], member("title")) {
		return detail // the status itself is shown with it
	}
	return join(": ", member("title"), detail)
}

// saysStatus reports whether a problem's title is that of its status.
func saysStatus(status json.RawMessage, title string) bool {
	var code int
	return json.Unmarshal(status, &code) == nil && http.StatusText(code) == title
}

func join(between, a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + between + b
}

// clean makes one line of text, and cuts it to Max.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= Max {
		return text
	}
	cut := Max - len("…")
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
