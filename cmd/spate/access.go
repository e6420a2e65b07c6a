package main

import (
	"net/http"
	"time"

	"github.com/spatehub/spate/serve"
	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/limit"
	"github.com/spatehub/spate/serve/stream"
)

// access says what a request may do. Every route asks it but those of health, and no route decides for itself.
type access struct {
	open      bool             // no authorization: everybody may do everything
	authorize serve.Authorizer // who asks, and what it may do; each request is asked about once, as tickets are good once
	query     []string         // the parameters that authorize reads, which routes have to let pass
	sessions  serve.Sessions   // the streams that were allowed
	revoked   auth.Revocations
	tickets   *auth.Tickets // nil: none are given
	gate      *limit.Gate
}

// granted is a handler for whom access has let in; g is what the caller may do.
type granted func(w http.ResponseWriter, r *http.Request, g serve.Grant)

// caller lets requests with good credentials pass, whatever they allow: h has to look at its grant.
func (a *access) caller(h granted) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g, ok := a.admit(w, r); ok {
			h(w, r, g)
		}
	})
}

// admin lets requests pass whose grant has the right to administer the hub. The routes that tell about it or about its
// users, or change anything but by a push, are behind it.
func (a *access) admin(next http.Handler) http.Handler {
	return a.caller(func(w http.ResponseWriter, r *http.Request, g serve.Grant) {
		if !g.Admin {
			refuse(w, http.StatusForbidden, "", "this takes the right to administer the hub (admin)")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admit returns the grant of a request, or answers it.
func (a *access) admit(w http.ResponseWriter, r *http.Request) (serve.Grant, bool) {
	g, err := a.authorize(r)
	if err == nil && g.ExpiredAt(time.Now()) {
		err = &serve.Error{Status: http.StatusUnauthorized, Message: "the credentials have expired"}
	}
	if err != nil {
		serve.WriteError(w, stream.AuthorizerError(err))
		return serve.Grant{}, false
	}
	return g, true
}

// newAccess is the access that the settings describe.
func newAccess(c *serveConfig) *access {
	return &access{open: true, authorize: c.identify(), gate: limit.NewGate(limit.Config{Connections: c.maxConns})}
}

// revokeUser ends the streams of a user, and refuses what was issued to it until now. It returns how many streams
// there were.
func (a *access) revokeUser(user string) int {
	mine := func(g *serve.Grant) bool { return g.User == user }
	if !a.open { // else there is nothing that could be refused
		a.revoked.User(user, time.Time{})
		if a.tickets != nil {
			a.tickets.Revoke(mine)
		}
	}
	return a.sessions.RevokeUser(user)
}
