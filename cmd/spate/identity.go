package main

import (
	"net/http"

	"golang.org/x/net/http/httpguts"

	"github.com/spatehub/spate/serve/stream"
)

// identifier says who a request comes from and what it follows.
type identifier func(r *http.Request) (uid string, topics []string, err error)

// identify returns how the hub learns it.
func (c *serveConfig) identify() identifier {
	if c.userHeader != "" {
		return byHeader(c.userHeader)
	}
	return byQuery
}

// byQuery takes the word of the query: on loopback, without authorization, whoever asks may read everything anyway.
// An empty uid is nobody's: such a connection is anonymous.
func byQuery(r *http.Request) (uid string, topics []string, err error) {
	q, err := stream.ParseQuery(r, []string{"uid"}, []string{"topic"})
	return q.Get("uid"), q["topic"], err
}

// byHeader takes the word of a proxy, which knows its users, and sets the header on each request. Nothing that the
// client itself says may count beside it.
func byHeader(name string) identifier {
	return func(r *http.Request) (string, []string, error) {
		q, err := stream.ParseQuery(r, []string{"uid"}, []string{"topic"})
		if err != nil {
			return "", nil, err
		}
		if q.Has("uid") {
			return "", nil, &stream.Error{Status: http.StatusBadRequest, Field: "uid",
				Message: "is not taken here: the proxy says who a user is, by the header " + name}
		}
		values := r.Header.Values(name)
		switch len(values) {
		case 0:
			return "", q["topic"], nil
		case 1:
			return values[0], q["topic"], nil
		}
		return "", nil, &stream.Error{Status: http.StatusBadRequest, Field: name,
			Message: "is there more than once: the proxy must set it, not add to it"}
	}
}

// checkUserHeader refuses what can be no header of a proxy's own.
func checkUserHeader(name string) error {
	if name != "" && !httpguts.ValidHeaderFieldName(name) {
		return usagef("--user-header %q: give a header's name, such as X-Spate-User", name)
	}
	return nil
}
