package main

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/spatehub/spate/serve/stream"
)

// identify is how a hub without authorization learns who somebody is. Whoever it is may do everything, but for the users
// of a proxy, who may read alone.
func (c *serveConfig) identify() stream.Authorizer {
	if c.userHeader != "" {
		return byHeader(c.userHeader)
	}
	return byQuery
}

// byQuery takes the word of the query: without authorization whoever asks may read everything anyway. An empty uid is
// nobody's: such a connection is anonymous.
func byQuery(r *http.Request) (stream.Grant, error) {
	uids, err := stream.QueryValues(r, "uid")
	switch {
	case err != nil:
		return stream.Grant{}, err
	case len(uids) > 1:
		return stream.Grant{}, &stream.Error{Status: http.StatusBadRequest, Field: "uid", Message: "is given more than once: give it once"}
	case len(uids) == 1:
		return stream.FullGrant(uids[0]), nil
	}
	return stream.FullGrant(""), nil
}

// byHeader takes the word of a proxy, which knows its users, and sets the header on each request. Nothing that the
// client itself says may count beside it. Whom the header names, or an empty one does not, is a user, and may read: a
// proxy that lets more through than /events gives nothing else away. Requests without it are those of programs beside
// the hub, and may do everything.
func byHeader(name string) stream.Authorizer {
	return func(r *http.Request) (stream.Grant, error) {
		uids, err := stream.QueryValues(r, "uid")
		if err != nil {
			return stream.Grant{}, err
		}
		if uids != nil {
			return stream.Grant{}, &stream.Error{Status: http.StatusBadRequest, Field: "uid",
				Message: "is not taken here: the proxy says who a user is, by the header " + name}
		}
		values := r.Header.Values(name)
		switch len(values) {
		case 0:
			return stream.FullGrant(""), nil
		case 1:
			return stream.Grant{User: values[0], Read: stream.FullGrant("").Read}, nil
		}
		return stream.Grant{}, &stream.Error{Status: http.StatusBadRequest, Field: name,
			Message: "is there more than once: the proxy must set it, not add to it"}
	}
}

// checkUserHeader refuses what can be no header of a proxy's own. Host is none of the header's to net/http.
func checkUserHeader(name string) error {
	if name != "" && !httpguts.ValidHeaderFieldName(name) || strings.EqualFold(name, "Host") {
		return usagef("--user-header %q: give a header's name, such as X-Spate-User", name)
	}
	return nil
}
