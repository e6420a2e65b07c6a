package wire_test

import (
	"strings"
	"time"

	"github.com/spatehub/spate/wire"
)

// result is everything a stream tells.
type result struct {
	Events   []wire.Event
	LastID   string
	Retry    time.Duration
	HasRetry bool
	TooLarge bool
}

// twinParse is the second implementation that the parser is compared with. It
// goes through the WHATWG text step by step, over the whole stream at once, and
// cares for nothing but being obviously right. The text is quoted beside each
// step.
func twinParse(stream []byte, maxSize int) result {
	var (
		res                 result
		data, rawData       string // raw: before decoding
		eventType, idBuffer string
		retry               time.Duration
		others              int
	)
	maxLine := maxSize + wire.LineRoom
	// "Streams must be decoded using the UTF-8 decode algorithm", which also
	// strips one leading byte order mark. Line ends are ASCII, so that raw and
	// decoded lines correspond.
	raw, rawRest := twinLines(strings.TrimPrefix(string(stream), "\ufeff"))
	lines, _ := twinLines(strings.TrimPrefix(twinDecodeUTF8(stream), "\ufeff"))
	for i, line := range lines {
		// The bounds are not the standard's but ours.
		if len(raw[i]) > maxLine {
			res.TooLarge = true
			return res
		}

		// "If the line is empty (a blank line): Dispatch the event."
		if line == "" {
			// "Set the last event ID string of the event source to the value of
			// the last event ID buffer."
			res.LastID = idBuffer
			// "If the data buffer is an empty string, set the data buffer and the
			// event type buffer to the empty string and return."
			if data != "" {
				// "If the data buffer's last character is a U+000A LINE FEED (LF)
				// character, then remove the last character from the data buffer."
				data = strings.TrimSuffix(data, "\n")
				if eventType == "" {
					eventType = "message"
				}
				res.Events = append(res.Events, wire.Event{ID: idBuffer, Event: eventType, Data: data, Retry: retry})
			}
			data, rawData, eventType, retry, others = "", "", "", 0, 0
			continue
		}
		// "If the line starts with a U+003A COLON character (:): Ignore the line."
		if line[0] == ':' {
			continue
		}
		// "If the line contains a U+003A COLON character (:): Collect the
		// characters on the line before the first colon, and let field be that
		// string. [...] If value starts with a U+0020 SPACE character, remove it
		// from value." Otherwise "using the whole line as the field name, and the
		// empty string as the field value."
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		if field == "data" {
			_, rawValue, _ := strings.Cut(raw[i], ":")
			rawData += strings.TrimPrefix(rawValue, " ") + "\n"
			res.TooLarge = len(rawData)-1 > maxSize
		} else {
			others += len(raw[i])
			res.TooLarge = others > maxLine
		}
		if res.TooLarge {
			return res
		}
		switch field {
		case "event": // "Set the event type buffer to field value."
			eventType = value
		case "data": // "Append the field value to the data buffer, then append a single LF."
			data += value + "\n"
		case "id": // "If the field value does not contain U+0000 NULL, [...]"
			if !strings.Contains(value, "\x00") {
				idBuffer = value
			}
		case "retry": // "If the field value consists of only ASCII digits, [...]"
			if value != "" && strings.Trim(value, "0123456789") == "" {
				retry = twinMillis(value)
				res.Retry, res.HasRetry = retry, true
			}
		}
	}
	// "Once the end of the file is reached, any pending data must be discarded."
	if strings.HasPrefix("\ufeff", string(stream)) {
		rawRest = "" // may still become a byte order mark, which is free
	}
	res.TooLarge = len(rawRest) > maxLine
	return res
}

// twinLines splits at CRLF, LF and CR. The rest is what no line end follows.
func twinLines(s string) (lines []string, rest string) {
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "\r\n"):
			lines, rest = append(lines, rest), ""
			i++
		case s[i] == '\n' || s[i] == '\r':
			lines, rest = append(lines, rest), ""
		default:
			rest += s[i : i+1]
		}
	}
	return lines, rest
}

func twinMillis(digits string) time.Duration {
	const limit = 9223372036854
	digits = strings.TrimLeft(digits, "0")
	if len(digits) > 13 {
		return limit * time.Millisecond
	}
	ms := time.Duration(0)
	for _, c := range digits {
		ms = ms*10 + time.Duration(c-'0')
	}
	return min(ms, limit) * time.Millisecond
}

// twinDecodeUTF8 is the decoder of the Encoding standard, section 8.1.1, with
// its variables and its order of steps.
func twinDecodeUTF8(stream []byte) string {
	var (
		out          strings.Builder
		point        rune
		seen, needed int
		lower, upper byte = 0x80, 0xbf
	)
	for i := 0; i < len(stream); i++ {
		c := stream[i]
		if needed == 0 {
			switch {
			case c <= 0x7f:
				out.WriteByte(c)
			case c >= 0xc2 && c <= 0xdf:
				needed, point = 1, rune(c&0x1f)
			case c >= 0xe0 && c <= 0xef:
				if c == 0xe0 {
					lower = 0xa0
				}
				if c == 0xed {
					upper = 0x9f
				}
				needed, point = 2, rune(c&0xf)
			case c >= 0xf0 && c <= 0xf4:
				if c == 0xf0 {
					lower = 0x90
				}
				if c == 0xf4 {
					upper = 0x8f
				}
				needed, point = 3, rune(c&0x7)
			default:
				out.WriteRune('\ufffd')
			}
			continue
		}
		if c < lower || c > upper {
			point, needed, seen, lower, upper = 0, 0, 0, 0x80, 0xbf
			i-- // "Restore byte to ioQueue."
			out.WriteRune('\ufffd')
			continue
		}
		lower, upper = 0x80, 0xbf
		point = point<<6 | rune(c&0x3f)
		seen++
		if seen == needed {
			out.WriteRune(point)
			point, needed, seen = 0, 0, 0
		}
	}
	if needed != 0 {
		out.WriteRune('\ufffd')
	}
	return out.String()
}
