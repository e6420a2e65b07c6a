package stream

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/spatehub/spate/engine"
)

// WithoutEncoding sends every stream as it is, whatever encodings the hub has (see
// engine.WithEncodings) and the client accepts: where each event has a secret beside
// what a stranger may choose, over TLS, or where bytes cost less than time.
func WithoutEncoding() Option { return func(c *config) { c.uncoded = true } }

// coding is how a stream's body is coded.
type coding struct {
	asked bool            // Accept-Encoding was looked at
	by    engine.Encoding // nil: not at all
}

// name is the coding as Content-Encoding has it, "" where there is none.
func (k coding) name() string {
	if k.by == nil {
		return ""
	}
	return k.by.Name()
}

// codingFor chooses among the hub's encodings by what the client accepts. Nothing is
// coded where middleware does it, or where the client asks for the body as it is.
func (c *config) codingFor(h http.Header, r *http.Request, hub *engine.Hub) (coding, *Error) {
	offered := hub.Encodings()
	if c.uncoded || len(offered) == 0 || coded(h) {
		return coding{}, nil
	}
	if hasToken(r.Header["Cache-Control"], "no-transform") {
		return coding{asked: true}, nil
	}
	i, ok := acceptedOf(r.Header["Accept-Encoding"], offered)
	switch {
	case !ok:
		return coding{}, &Error{Status: http.StatusNotAcceptable, Field: "Accept-Encoding", Message: "excludes a body that is not coded, and every coding that there is"}
	case i < 0:
		return coding{asked: true}, nil
	}
	return coding{asked: true, by: offered[i]}, nil
}

// acceptedOf returns the index of the encoding that a client prefers, the first of
// those that it likes as well, or -1 for none; ok is false where it excludes all,
// and a body that is not coded too. A member of the header that makes no sense asks
// for nothing.
func acceptedOf(header []string, offered []engine.Encoding) (best int, ok bool) {
	a := accepts{}
	for _, line := range header {
		for member := range strings.SplitSeq(line, ",") {
			a.add(member)
		}
	}
	best, most := -1, 0
	for i, e := range offered {
		if q := a.quality(e.Name(), 0); q > most {
			best, most = i, q
		}
	}
	identity, said := a["identity"]
	if said && identity > most {
		return -1, true
	}
	return best, best >= 0 || a.quality("identity", 1) > 0
}

// accepts are the qualities, in thousandths, that a client gives to codings.
type accepts map[string]int

// add takes in one member of an Accept-Encoding header; of two for one coding, the
// first counts.
func (a accepts) add(member string) {
	name, parameter, weighed := strings.Cut(member, ";")
	name = strings.ToLower(strings.TrimSpace(name))
	if name == "x-gzip" {
		name = "gzip" // RFC 9110, 8.4.1.3
	}
	q := 1000
	if weighed {
		var ok bool
		if q, ok = thousandths(strings.TrimSpace(parameter)); !ok {
			return
		}
	}
	if _, said := a[name]; !said && name != "" {
		a[name] = q
	}
}

// quality is that of a coding, by its name or by "*"; else that of one not named.
func (a accepts) quality(name string, unnamed int) int {
	if q, said := a[name]; said {
		return q
	}
	if q, said := a["*"]; said {
		return q
	}
	return unnamed
}

// thousandths reads a weight such as "q=0.5".
func thousandths(weight string) (q int, ok bool) {
	text, ok := strings.CutPrefix(strings.ToLower(weight), "q=")
	if !ok || len(text) > len("0.999") || strings.Trim(text, "0123456789.") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f > 1 {
		return 0, false
	}
	return int(f*1000 + 0.5), true
}

// hasToken reports whether a header's list has a member, in small letters.
func hasToken(lines []string, token string) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		for member := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(member), token) {
				return true
			}
		}
		return false
	})
}

// announce puts the coding into a head.
func (k coding) announce(h http.Header) {
	if k.asked && !hasToken(h["Vary"], "Accept-Encoding") && !hasToken(h["Vary"], "*") {
		h.Add("Vary", "Accept-Encoding")
	}
	if k.by != nil {
		h.Set("Content-Encoding", k.name())
	}
}

// sent returns what is to be coded once the head is sent: nothing, if middleware has
// put its own coding in the place of ours.
func (k coding) sent(h http.Header) coding {
	first, _, _ := strings.Cut(strings.Join(h["Content-Encoding"], ","), ",")
	if k.by != nil && !strings.EqualFold(strings.TrimSpace(first), k.name()) {
		return coding{}
	}
	return k
}

// alone reports whether the head announces this coding and no other.
func (k coding) alone(h http.Header) bool {
	return !coded(h) || k.by != nil && slices.Equal(h["Content-Encoding"], []string{k.name()})
}
