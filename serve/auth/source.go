package auth

import (
	"net/http"
	"strings"

	"github.com/spatehub/spate/serve/cors"
	"github.com/spatehub/spate/serve/stream"
)

// Source says where a request may have its token beside the Authorization header
// ("Bearer <token>"). The zero value is that header alone.
type Source struct {
	// Query is a query parameter. What is in a URL is seen by proxies' logs and
	// browsers' histories: prefer [Tickets].
	Query string

	// Cookie is a cookie's name. A browser sends it whoever's page it shows, so
	// that it counts only where the page is of the server's own origin or of one
	// of Origins. A browser that says of which it is not is refused.
	Cookie  string
	Origins cors.Origins

	// Basic takes the token as the password of "Authorization: Basic" too, whatever
	// the user there, so that a browser can ask for it. It goes on to send it
	// whoever's page it shows: what holds for a cookie holds for it.
	Basic bool
}

// token returns the request's token. A header or parameter was meant, a cookie is
// sent always: that comes last.
func (s *Source) token(r *http.Request) (string, error) {
	token, err := bearer(r)
	if err != nil {
		return "", err
	}
	if s.Query != "" {
		inQuery, err := queryValue(r, s.Query)
		switch {
		case err != nil:
			return "", err
		case inQuery != "" && token != "":
			return "", badRequest(s.Query, "contradicts the Authorization header: send the token once")
		case inQuery != "":
			token = inQuery
		}
	}
	if token == "" && s.Basic {
		token, err = s.basic(r)
	}
	if token == "" && err == nil && s.Cookie != "" {
		token, err = s.cookie(r)
	}
	if token == "" && err == nil {
		err = errNone
	}
	return token, err
}

// bearer returns the token of the Authorization header, "" where there is none.
func bearer(r *http.Request) (string, error) {
	values := r.Header["Authorization"]
	switch len(values) {
	case 0:
		return "", nil
	case 1:
	default:
		return "", badRequest("Authorization", "is given twice")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil // somebody else's
	}
	if token = strings.TrimSpace(token); token == "" {
		return "", badRequest("Authorization", "has no token")
	}
	return token, nil
}

// queryValue returns the query parameter, "" where there is none.
func queryValue(r *http.Request, name string) (string, error) {
	values, err := stream.QueryValues(r, name)
	switch {
	case err != nil:
		return "", err
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", badRequest(name, "is given twice")
	case values[0] == "":
		return "", badRequest(name, "is empty")
	default:
		return values[0], nil
	}
}

// cookie returns the token of the cookie, "" where there is none.
func (s *Source) cookie(r *http.Request) (string, error) {
	cookies := r.CookiesNamed(s.Cookie)
	switch {
	case len(cookies) == 0 || cookies[0].Value == "":
		return "", nil
	case len(cookies) > 1: // another host of the domain may have set one
		return "", badRequest("Cookie", "has "+s.Cookie+" twice")
	case !s.fromOurPage(r):
		return "", errElsewhere
	}
	return cookies[0].Value, nil
}

// errElsewhere is the answer to what a browser sends by itself, for a page that
// may not use it.
var errElsewhere = &stream.Error{Status: http.StatusForbidden, Field: "Origin", Message: "a cookie or password that a browser keeps counts only from a page of an allowed origin"}

// basic returns the password of the Authorization header, "" where it has none.
// Programs that are no browsers say nothing of pages.
func (s *Source) basic(r *http.Request) (string, error) {
	_, token, ok := r.BasicAuth()
	switch {
	case !ok || token == "":
		return "", nil
	case (r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "") && !s.fromOurPage(r):
		return "", errElsewhere
	}
	return token, nil
}

// fromOurPage reports whether the page that made the request is allowed to. For
// GET and HEAD of their own origin browsers send no Origin, but Sec-Fetch-Site,
// which is "none" where it is the user who asks, by the address bar, and no page.
func (s *Source) fromOurPage(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin != "" && s.Origins.Allows(origin) && !s.Origins.Any() {
		return true
	}
	if origin == "" {
		site := r.Header.Get("Sec-Fetch-Site")
		return site == "same-origin" || site == "none"
	}
	return cors.SameOrigin(r)
}

// badRequest is the answer to a wrong part of a request.
func badRequest(field, message string) *stream.Error {
	return &stream.Error{Status: http.StatusBadRequest, Message: message, Field: field}
}
