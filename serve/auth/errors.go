package auth

import (
	"errors"
	"net/http"
	"time"

	"github.com/spatehub/spate/serve/stream"
)

// errNone says that a request has no credentials of the kind that an authorizer
// knows. [First] asks the next one.
var errNone = &stream.Error{Status: http.StatusUnauthorized, Message: "needs credentials"}

// errOther says that a request has credentials, and that they are not of the kind
// that an authorizer knows, or none. [First] asks the next one.
var errOther = &stream.Error{Status: http.StatusUnauthorized, Message: "the credentials are not valid"}

// errNoGood is the answer to credentials that are none.
var errNoGood = &stream.Error{Status: http.StatusUnauthorized, Message: "the credentials are not valid"}

// noLonger is the answer to credentials that were good at another time or are
// good elsewhere.
func noLonger(message string) *stream.Error {
	return &stream.Error{Status: http.StatusUnauthorized, Message: message}
}

// unavailable is the answer where it can't be told at present.
func unavailable(message string, after time.Duration) *stream.Error {
	return &stream.Error{Status: http.StatusServiceUnavailable, Message: message, RetryAfter: after}
}

// First asks authorizers in turn until one knows credentials that the request
// has: its answer counts, whether it is a grant or a refusal. Where none does, the
// request is answered 401.
func First(list ...stream.Authorizer) stream.Authorizer {
	return func(r *http.Request) (stream.Grant, error) {
		var answer error = errNone
		for _, a := range list {
			g, err := a(r)
			switch {
			case errors.Is(err, errOther):
				answer = err
			case !errors.Is(err, errNone):
				return g, err
			}
		}
		return stream.Grant{}, answer
	}
}

// OrAnonymous lets requests without any credentials have the grant anonymous;
// bad ones are refused as before.
func OrAnonymous(a stream.Authorizer, anonymous stream.Grant) stream.Authorizer {
	return func(r *http.Request) (stream.Grant, error) {
		g, err := a(r)
		if errors.Is(err, errNone) {
			return anonymous, nil
		}
		return g, err
	}
}
