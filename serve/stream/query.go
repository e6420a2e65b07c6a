package stream

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// What a client may ask for in the query of its stream. These names are ours, in
// every handler: each may be given once, and a near miss of one is an error rather
// than an embedder's parameter. All other names are the embedder's.
const (
	resumeQuery   = "last_event_id" // stands in for Last-Event-ID where a client can't set a header
	sinceQuery    = "since"         // an RFC 3339 time, or an age such as 15m or 7d
	gapQuery      = "on_gap"        // "refuse": answer 409 rather than begin with a gap event
	conflateQuery = "conflate"      // "true": while behind, only the newest event per key
	mayWaitQuery  = "may_wait"      // "true": events may come a little later, several at a time
)

var ourParams = []string{resumeQuery, sinceQuery, gapQuery, conflateQuery, mayWaitQuery}

// ourLetters are their plain letters.
var ourLetters = func() (all []string) {
	for _, name := range ourParams {
		all = append(all, plainLetters(name))
	}
	return all
}()

// ParseQuery reads the query of a stream's request by the rule that handlers of
// this package apply to their own parameters, for an identify function whose query
// has nothing but what it knows: single and multiple are the names that may be
// given once, and any number of times. What can't be parsed, is not known, or is
// repeated is an [*Error] that names the parameter and says what is taken.
func ParseQuery(r *http.Request, single, multiple []string) (url.Values, error) {
	return strictQuery(r, single, multiple, ourParams)
}

// ParseRouteQuery is ParseQuery for a route that is no stream's: nothing is taken but
// what is named.
func ParseRouteQuery(r *http.Request, single, multiple []string) (url.Values, error) {
	return strictQuery(r, single, multiple, nil)
}

// QueryValues returns the values of one parameter, for an authorizer that leaves the rest
// of the query to the route. The error, an [*Error], says what can't be parsed.
func QueryValues(r *http.Request, name string) ([]string, error) {
	raw := r.URL.RawQuery
	if !strings.Contains(raw, name) && !strings.Contains(raw, "%") { // which may stand for a letter of it
		return nil, nil
	}
	query, bad := parseQuery(raw)
	if bad != nil {
		return nil, bad
	}
	return query[name], nil
}

// CheckNoBody refuses a body, for a route that has no use for one and is no stream's: whoever
// sends one means something by it. One that does not say how long it is counts as one: it is
// not waited for.
func CheckNoBody(r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	return badRequest("body", "is not taken here: send none")
}

// strictQuery is ParseQuery; the names in others are left to somebody else.
func strictQuery(r *http.Request, single, multiple, others []string) (url.Values, error) {
	query, bad := parseQuery(r.URL.RawQuery)
	if bad != nil {
		return nil, bad
	}
	known := slices.Concat(single, multiple, others)
	for _, name := range sortedKeys(query) {
		switch {
		case slices.Contains(multiple, name), slices.Contains(others, name):
		case !slices.Contains(single, name) && len(known) == 0:
			return nil, badRequest(shortName(name), "is no parameter here: none are taken")
		case !slices.Contains(single, name):
			return nil, badRequest(shortName(name), "is no parameter of this route: it takes "+strings.Join(known, ", "))
		case len(query[name]) > 1:
			return nil, repeated(name, len(query[name]))
		}
		if !slices.Contains(others, name) {
			if refusal := checkText(query, name); refusal != nil {
				return nil, refusal
			}
		}
	}
	return query, nil
}

// parseQuery parses all of a query; url.ParseQuery would leave out what it can't.
func parseQuery(raw string) (url.Values, *Error) {
	query := make(url.Values)
	var last string // the name of values, which query does not have yet: a name mostly comes in a row
	var values []string
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		if key == "" {
			return nil, badRequest("query", "has a part without a name, "+strconv.Quote(shortName(pair))+": write name=value")
		}
		name, err := url.QueryUnescape(key)
		if err != nil {
			return nil, badRequest(shortName(key), "is a name that is not percent-encoded as it should be: write % as %25")
		}
		if strings.Contains(pair, ";") {
			return nil, badRequest(shortName(name), "has a semicolon: write it as %3B, and & between parameters")
		}
		text, err := url.QueryUnescape(value)
		if err != nil {
			return nil, badRequest(shortName(name), "is not percent-encoded as it should be: write % as %25")
		}
		if name != last || values == nil {
			if values != nil {
				query[last] = values
			}
			last, values = name, query[name]
		}
		values = append(values, text)
	}
	if values != nil {
		query[last] = values
	}
	return query, nil
}

// checkOurs refuses what is repeated of ours, and names that are meant for ours.
func checkOurs(query url.Values) *Error {
	for _, name := range sortedKeys(query) {
		if slices.Contains(ourParams, name) {
			if n := len(query[name]); n > 1 {
				return repeated(name, n)
			}
			if refusal := checkText(query, name); refusal != nil {
				return refusal
			}
			continue
		}
		if meant := nearMiss(name); meant != "" {
			return badRequest(shortName(name), "is no parameter of a stream: write "+meant)
		}
	}
	return nil
}

// checkText refuses values that are no text: what is read from them, or sent back, would
// be another one.
func checkText(query url.Values, name string) *Error {
	for _, value := range query[name] {
		if !utf8.ValidString(value) {
			return badRequest(name, "is not valid UTF-8")
		}
	}
	return nil
}

func repeated(name string, n int) *Error {
	return badRequest(name, fmt.Sprintf("is given %d times: give it once", n))
}

// nearMiss returns which of our parameters a name is meant for, "" for none: the
// same letters in another case or with other separators, or, of the long names, all
// but one of them.
func nearMiss(name string) string {
	letters := plainLetters(name)
	for i, want := range ourLetters {
		if letters == want || len(want) >= 8 && oneEdit(letters, want) {
			return ourParams[i]
		}
	}
	return ""
}

func plainLetters(name string) string {
	return strings.ToLower(separators.Replace(name))
}

var separators = strings.NewReplacer("-", "", "_", "", ".", "")

// oneEdit reports whether one letter more, less or other makes a of b.
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		return i == len(a) || a[i+1:] == b[i+1:]
	}
	return a[i:] == b[i+1:]
}

// maxShown bounds what of a client's text goes back to it in an error.
const maxShown = 64

// shortName bounds how much of a name that means nothing is sent back.
func shortName(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	if len(name) > maxShown {
		return strings.ToValidUTF8(name[:maxShown], "") + "..."
	}
	return name
}

func sortedKeys(query url.Values) []string {
	keys := make([]string, 0, len(query))
	for name := range query {
		keys = append(keys, name)
	}
	slices.Sort(keys)
	return keys
}

// ParseSince reads what the parameter since of a stream may be: a time of RFC 3339, or an
// age such as "15m", "7d" or "1d12h", before now. ok is false for anything else.
func ParseSince(text string, now time.Time) (at time.Time, ok bool) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		if at.IsZero() {
			at = at.Add(1) // the zero time stands for none; nothing is as old
		}
		return at, true
	}
	age, ok := ParseAge(text)
	return now.Add(-age), ok
}

// ParseAge reads a duration that has no sign and may begin with days, such as "90s", "7d"
// or "1d12h". ok is false for anything else.
func ParseAge(text string) (age time.Duration, ok bool) {
	const day = 24 * time.Hour
	if strings.ContainsAny(text, "+-") {
		return 0, false
	}
	digits, rest, days := strings.Cut(text, "d")
	if !days {
		age, err := time.ParseDuration(text)
		return age, err == nil
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/int64(day) {
		return 0, false
	}
	age = time.Duration(n) * day
	if rest == "" {
		return age, true
	}
	more, err := time.ParseDuration(rest)
	if err != nil || age > math.MaxInt64-more {
		return 0, false
	}
	return age + more, true
}
