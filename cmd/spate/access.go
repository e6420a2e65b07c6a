package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/cors"
	"github.com/spatehub/spate/serve/limit"
	"github.com/spatehub/spate/serve/stream"
)

// access says what a request may do. Every route asks it but those of health, and no route decides for itself.
type access struct {
	open      bool              // no authorization: everybody may do everything
	loopback  bool              // open, so that nobody but this machine may reach it
	authorize stream.Authorizer // who asks, and what it may do; each request is asked about once, as tickets are good once
	query     []string          // the parameters that authorize reads, which routes have to let pass
	tokens    auth.Source       // where tokens may be, but for the origins; fixed, as query is
	sessions  stream.Sessions   // the streams that were allowed
	revoked   auth.Revocations
	revokeFor time.Duration      // 0: for ever
	shared    *sharedRevocations // nil: the hub is alone
	tickets   *auth.Tickets      // nil: none are given
	gate      *limit.Gate
	proxies   *limit.Proxies
	cors      atomic.Pointer[cors.Checker]
	inForce   atomic.Pointer[authorizers]
	remote    *auth.Remote // the keys of a URL; nil: none
	remoteURL string
	log       *slog.Logger // is told what callers are not
}

// authorizers are what knows credentials, but for tickets. They may change while the hub runs.
type authorizers struct {
	known stream.Authorizer // requires credentials
	all   stream.Authorizer // takes those without any, where the settings give them rights
}

// newAccess is the access that the settings describe. With authorization it lets nobody in before it is configured.
func newAccess(c *serveConfig, log *slog.Logger) *access {
	a := &access{open: !c.access.on(), loopback: !c.public(), revokeFor: c.access.revokeFor, log: log}
	a.proxies, _ = c.limits.proxies() // which validate has found to be good
	a.gate = limit.NewGate(c.limits.gate(a.proxies))
	a.cors.Store(must(cors.NewChecker(cors.Policy{})))
	if a.open {
		a.authorize = c.identify()
		return a
	}
	nobody := stream.Authorizer(func(*http.Request) (stream.Grant, error) {
		return stream.Grant{}, &stream.Error{Status: http.StatusServiceUnavailable, Message: "the hub is about to start"}
	})
	a.inForce.Store(&authorizers{nobody, nobody})
	a.tokens = auth.Source{Query: c.access.tokenQuery, Cookie: c.access.tokenCookie, Basic: true}
	a.authorize = a.guard(a.credentials)
	if c.access.tokenQuery != "" {
		a.query = append(a.query, c.access.tokenQuery)
	}
	if c.access.ticketTTL > 0 {
		a.tickets = auth.NewTickets(auth.TicketsConfig{TTL: c.access.ticketTTL})
		a.query = append(a.query, "ticket")
		a.authorize = a.guard(auth.First(a.tickets.Authorize, a.credentials))
	}
	return a
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // the zero policy is a good one
	}
	return v
}

// guard refuses what was revoked, and everything while that is not known.
func (a *access) guard(authorize stream.Authorizer) stream.Authorizer {
	guarded := a.revoked.Guard(authorize)
	return func(r *http.Request) (stream.Grant, error) {
		if err := a.shared.known(); err != nil {
			return stream.Grant{}, err
		}
		return guarded(r)
	}
}

// credentials asks what is in force at the time.
func (a *access) credentials(r *http.Request) (stream.Grant, error) {
	if a.open {
		return a.authorize(r)
	}
	return a.inForce.Load().all(r)
}

// required is credentials for what nobody may do without any. With authorization off there are none to require.
func (a *access) required(r *http.Request) (stream.Grant, error) {
	if a.open {
		return a.authorize(r)
	}
	return a.inForce.Load().known(r)
}

// change is settings that are good and not in force yet. One of its methods is called.
type change struct {
	a      *access
	c      *serveConfig
	cors   *cors.Checker
	found  *authorizers // nil: the hub is open
	remote *auth.Remote
}

// prepare reads what can change while the hub runs: bounds, origins, and what credentials allow, with the files that they
// name. report is told, by any goroutine, what goes wrong with keys later on.
func (a *access) prepare(c *serveConfig, report func(error)) (*change, error) {
	origins, err := cors.ParseOrigins(c.access.origins.values...)
	if err != nil {
		return nil, fmt.Errorf("--cors-origin: %w", err)
	}
	checker, err := cors.NewChecker(cors.Policy{Origins: origins, Credentials: c.access.credentials})
	if err != nil {
		return nil, fmt.Errorf("--cors-credentials: %w", err)
	}
	p := &change{a: a, c: c, cors: checker, remote: a.remote}
	if !a.open {
		if p.found, p.remote, err = a.authorizer(c, origins, report); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// drop leaves everything as it was.
func (p *change) drop() {
	if p.remote != nil && p.remote != p.a.remote {
		p.remote.Close()
	}
}

// enforce puts the settings in force.
func (p *change) enforce() {
	a := p.a
	a.gate.Configure(p.c.limits.gate(a.proxies))
	a.cors.Store(p.cors)
	if a.open {
		return
	}
	a.inForce.Store(p.found)
	if a.remote != nil && a.remote != p.remote {
		a.remote.Close()
	}
	a.remote, a.remoteURL = p.remote, p.c.access.jwksURL
	if p.remote != nil {
		p.remote.Refetch()
	}
}

// authorizer makes what knows the credentials that the settings name. What is meant counts before what a client sends to
// everybody: a certificate comes last. All that is wrong is told.
func (a *access) authorizer(c *serveConfig, origins cors.Origins, report func(error)) (*authorizers, *auth.Remote, error) {
	source := a.tokens
	source.Origins = origins
	var list []stream.Authorizer
	var wrong []error
	add := func(name string, authorizer stream.Authorizer, err error) {
		if err != nil {
			wrong = append(wrong, fmt.Errorf("--%s: %w", name, err))
		}
		list = append(list, authorizer)
	}
	if c.access.tokenFile != "" {
		authorizer, err := auth.StaticTokens(c.access.tokenFile, source, report)
		add("token-file", authorizer, err)
	}
	var remote *auth.Remote
	if names := c.access.keySources(); len(names) > 0 {
		keys, r, err := a.keys(&c.access, report)
		var authorizer stream.Authorizer
		if remote = r; err == nil {
			authorizer, err = auth.JWT(auth.JWTConfig{
				Keys: keys, Source: source, Issuer: c.access.issuer, Audience: c.access.audience.values, AnyAudience: c.access.anyAudience,
				Skew: c.access.skew, NoExpiry: c.access.noExpiry, UserClaim: c.access.userClaim, RightsClaim: c.access.rightsClaim, Default: c.access.jwtRights.grant,
			})
		}
		add(names[0], authorizer, err)
	}
	if c.access.clientName != "" {
		rights, err := auth.UserRights(c.access.clientRights, report)
		var authorizer stream.Authorizer
		if err == nil {
			authorizer, err = auth.MutualTLS(auth.CertName(c.access.clientName), rights)
		}
		add("tls-client-rights", authorizer, err)
	}
	if len(wrong) > 0 {
		if remote != nil && remote != a.remote {
			remote.Close()
		}
		return nil, nil, errors.Join(wrong...)
	}
	known := auth.First(list...)
	if c.access.anonymous.text == "" {
		return &authorizers{known, known}, remote, nil
	}
	return &authorizers{known, auth.OrAnonymous(known, c.access.anonymous.grant)}, remote, nil
}

// keys returns the keys of JWTs, and what fetches them where they come from a URL.
func (a *access) keys(c *accessConfig, report func(error)) (auth.Keys, *auth.Remote, error) {
	switch {
	case c.jwtSecret != "":
		keys, err := auth.Secret([]byte(c.jwtSecret))
		return keys, nil, err
	case c.jwtSecretFile != "":
		keys, err := auth.SecretFile(c.jwtSecretFile, report)
		return keys, nil, err
	case c.jwtKeyFile != "":
		keys, err := auth.KeyFile(c.jwtKeyFile, report)
		return keys, nil, err
	case a.remote != nil && a.remoteURL == c.jwksURL:
		return a.remote, a.remote, nil // with the keys that it knows
	}
	remote, err := auth.RemoteKeys(c.jwksURL, auth.RemoteOptions{Report: report})
	if err != nil {
		return nil, nil, err
	}
	return remote, remote, nil
}

// close ends what is under way.
func (a *access) close() {
	if a.remote != nil {
		a.remote.Close()
	}
}

// granted is a handler for whom access has let in; g is what the caller may do.
type granted func(w http.ResponseWriter, r *http.Request, g stream.Grant)

// caller lets requests with good credentials pass, whatever they allow: h has to look at its grant. Tickets are for
// streams and count for nothing here: they stand in URLs. These routes take no parameters.
func (a *access) caller(h granted) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g, ok := a.admit(w, r, a.credentials); ok {
			a.withoutParameters(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h(w, r, g) })).ServeHTTP(w, r)
		}
	})
}

// withoutParameters refuses parameters, but that with the token: it is for who was let in.
func (a *access) withoutParameters(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.checkBare(r); err != nil {
			stream.WriteError(w, stream.AuthorizerError(err))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkBare refuses parameters, but that with the token.
func (a *access) checkBare(r *http.Request) error {
	var own []string
	if a.tokens.Query != "" {
		own = []string{a.tokens.Query}
	}
	_, err := stream.ParseRouteQuery(r, own, nil)
	return err
}

// admin lets requests pass whose grant has the right to administer the hub. The routes that tell about it or about its
// users, or change anything but by a push, are behind it.
func (a *access) admin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g, ok := a.admit(w, r, a.required)
		switch {
		case !ok:
		case !g.Admin:
			refuse(w, http.StatusForbidden, "", "this takes the right to administer the hub (admin)")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// page is for what a browser shows to whoever has credentials, whatever they allow: the page itself asks for what its
// reader may see. The browser may ask its user for a token, as a password.
func (a *access) page(next http.Handler) http.Handler {
	shown := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := a.admit(w, r, a.required); ok {
			w.Header().Del("WWW-Authenticate")
			next.ServeHTTP(w, r)
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.open {
			w.Header().Set("WWW-Authenticate", `Basic realm="spate", charset="UTF-8"`) // beside a 401 alone
		}
		shown.ServeHTTP(w, r)
	})
}

// admit returns the grant of a request, or answers it.
func (a *access) admit(w http.ResponseWriter, r *http.Request, authorize stream.Authorizer) (g stream.Grant, ok bool) {
	err := a.gate.Request(r)
	if err == nil {
		g, err = a.guard(authorize)(r)
	}
	if err == nil && g.ExpiredAt(time.Now()) {
		err = &stream.Error{Status: http.StatusUnauthorized, Message: "the credentials have expired"}
	}
	if err == nil {
		return g, true
	}
	refusal := stream.AuthorizerError(err)
	if refusal.Status != http.StatusUnauthorized {
		w.Header().Del("WWW-Authenticate")
	}
	stream.WriteError(w, refusal)
	return stream.Grant{}, false
}

// ticketOffice gives tickets to who has real credentials.
func (a *access) ticketOffice() http.Handler {
	required := a.guard(a.required)
	office := a.tickets.Handler(func(r *http.Request) (stream.Grant, error) {
		g, err := required(r)
		if err == nil {
			err = errors.Join(a.checkBare(r), stream.CheckNoBody(r))
		}
		return g, err
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.gate.Request(r); err != nil {
			stream.WriteError(w, stream.AuthorizerError(err))
			return
		}
		office.ServeHTTP(w, r)
	})
}

// revocationsFile is where revocations are kept, in the folder of the log: with names that begin so, Pebble leaves files
// alone.
const revocationsFile = ".revocations"

// keep has revocations outlive a restart, in the folder of the log, which nobody else uses now.
func (a *access) keep(folder string) error {
	if a.open { // nothing is revoked
		return nil
	}
	if err := a.revoked.Keep(filepath.Join(folder, revocationsFile)); err != nil {
		return fmt.Errorf("cannot read who was revoked: %w", err)
	}
	return nil
}

// revokeUser ends the streams of a user, and refuses what was issued to it until now. It returns how many streams
// there were. On an error nothing was done.
func (a *access) revokeUser(user string) (int, error) {
	var until time.Time
	if a.revokeFor > 0 {
		until = time.Now().Add(a.revokeFor)
	}
	var told *stream.Error
	if err := a.revoked.User(user, until); errors.As(err, &told) {
		return 0, err
	} else if err != nil {
		a.log.Error("a user could not be revoked", "uid", user, "why", err)
		return 0, &stream.Error{Status: http.StatusServiceUnavailable, Message: "the revocation could not be written: nothing was revoked"}
	}
	if a.tickets != nil {
		a.tickets.Revoke(func(g *stream.Grant) bool { return g.User == user })
	}
	return a.sessions.RevokeUser(user), nil
}

// ownRevocations are those of a hub that is alone.
type ownRevocations struct{ a *access }

// Revoke implements api.Revoker.
func (o ownRevocations) Revoke(user string) (ended int, word json.RawMessage, err error) {
	ended, err = o.a.revokeUser(user)
	return ended, nil, err
}

// Take implements api.Revoker: there is nobody to say it.
func (ownRevocations) Take(json.RawMessage) (int, error) { return 0, nil }

// Tell implements api.Revoker.
func (ownRevocations) Tell(context.Context, string) error { return nil }

// source is where a request comes from, for shares of the hub's work.
func (a *access) source(r *http.Request) string {
	return limit.Client(a.proxies.ClientAddr(r)).String()
}

// address is where a request comes from, as lists of connections tell it.
func (a *access) address(r *http.Request) string {
	if from := a.proxies.ClientAddr(r); from.IsValid() {
		return from.String()
	}
	return "" // a Unix socket has none
}
