package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/cors"
	"github.com/spatehub/spate/serve/stream"
)

// accessConfig says whose word is taken for what a caller may do.
type accessConfig struct {
	insecure bool

	jwtSecret     secretValue
	jwtSecretFile string
	jwtKeyFile    string
	jwksURL       string
	issuer        string
	audience      listValue
	anyAudience   bool
	noExpiry      bool
	skew          time.Duration
	userClaim     string
	rightsClaim   string
	jwtRights     rightsValue

	tokenFile   string
	tokenQuery  string
	tokenCookie string
	ticketTTL   time.Duration
	revokeFor   time.Duration
	anonymous   rightsValue

	clientName   string
	clientRights string

	origins     listValue
	credentials bool
}

func (a *accessConfig) addFlags(fs *flagSet) {
	a.ticketTTL = 30 * time.Second
	fs.BoolVar(&a.insecure, "insecure", false, "listen on an address that others can reach although nothing asks who they are: anybody may then read and push everything")
	fs.Var(&a.jwtSecret, "jwt-secret", "take JWTs that are signed with this `secret` (HS256, HS384, HS512) of 32 bytes or more; not on a command line")
	fs.StringVar(&a.jwtSecretFile, "jwt-secret-file", "", "take JWTs that are signed with the secret in this `file`")
	fs.StringVar(&a.jwtKeyFile, "jwt-key-file", "", "take JWTs that are signed with a key of this `file`: PEM public keys, or a JWK set")
	fs.StringVar(&a.jwksURL, "jwt-jwks-url", "", "take JWTs that are signed with a key of the JWK set at this https `URL`")
	fs.StringVar(&a.issuer, "jwt-issuer", "", "`issuer` that a JWT must name (iss)")
	fs.Var(&a.audience, "jwt-audience", "`audience` of which a JWT must name one (aud); may be given several times, in the environment with commas")
	fs.BoolVar(&a.anyAudience, "jwt-any-audience", false, "take JWTs whatever audience they name; without it and --jwt-audience those that name one are refused")
	fs.Var((*ageValue)(&a.skew), "jwt-skew", "`time` that the clock of who issues JWTs may differ, 5m at most")
	fs.BoolVar(&a.noExpiry, "jwt-no-expiry", false, "take JWTs that never expire (without exp)")
	fs.StringVar(&a.userClaim, "jwt-user-claim", "sub", "`claim` of a JWT that names the user")
	fs.StringVar(&a.rightsClaim, "jwt-rights-claim", auth.RightsClaim, "`claim` of a JWT that has its rights")
	fs.Var(&a.jwtRights, "jwt-rights", "`rights` of JWTs without that claim, as JSON: {\"read\":[\"news.>\"]} (default none)")
	fs.StringVar(&a.tokenFile, "token-file", "", "take the tokens whose hashes are in this `file`; spate token makes one")
	fs.StringVar(&a.tokenQuery, "token-query", "", "take tokens and JWTs from this query `parameter` too, which logs and histories keep: tickets are better")
	fs.StringVar(&a.tokenCookie, "token-cookie", "", "take tokens and JWTs from this `cookie` too, from pages of the hub's own origin and of --cors-origin")
	fs.Var((*ageValue)(&a.ticketTTL), "ticket-ttl", "`time` that a ticket of POST /tickets is good (0: there are none)")
	fs.Var((*ageValue)(&a.revokeFor), "revocation-ttl", "`time` for which it is remembered that a user was revoked: longer than the longest that credentials are good for (0: for ever)")
	fs.Var(&a.anonymous, "anonymous", "`rights` of requests without credentials, as JSON: {\"read\":[\"public.>\"]} (default none)")
	fs.StringVar(&a.clientName, "tls-client-name", "", "take client certificates, whose user is this `part` of them: cn, uri, dns or email")
	fs.StringVar(&a.clientRights, "tls-client-rights", "", "`file` with the rights of the users of client certificates")
	fs.Var(&a.origins, "cors-origin", "`origin` whose pages may use the hub, such as https://app.example.com or *.example.com; may be given several times, in the environment with commas")
	fs.BoolVar(&a.credentials, "cors-credentials", false, "let these pages send cookies and client certificates")
}

// jwt reports whether JWTs are taken.
func (a *accessConfig) jwt() bool { return len(a.keySources()) > 0 }

// keySources are the settings that say where the keys of JWTs are.
func (a *accessConfig) keySources() (names []string) {
	for name, given := range map[string]bool{
		"jwt-secret": a.jwtSecret != "", "jwt-secret-file": a.jwtSecretFile != "", "jwt-key-file": a.jwtKeyFile != "", "jwt-jwks-url": a.jwksURL != ""} {
		if given {
			names = append(names, name)
		}
	}
	return names
}

// on reports whether callers need credentials.
func (a *accessConfig) on() bool { return a.jwt() || a.tokenFile != "" || a.clientName != "" }

func (a *accessConfig) validate(fs *flagSet) {
	fs.must(len(a.keySources()) < 2, "jwt-secret", "--jwt-secret, --jwt-secret-file, --jwt-key-file and --jwt-jwks-url: give one of them")
	if a.jwtSecret != "" {
		_, err := auth.Secret([]byte(a.jwtSecret))
		fs.must(err == nil, "jwt-secret", "--jwt-secret: %v", err)
	}
	if a.jwksURL != "" {
		_, err := auth.RemoteKeys(a.jwksURL, auth.RemoteOptions{})
		fs.must(err == nil, "jwt-jwks-url", "--jwt-jwks-url: %v", err)
		u, err := url.Parse(a.jwksURL)
		fs.must(err != nil || u.User == nil, "jwt-jwks-url", "--jwt-jwks-url: must have no user and password: a JWK set is public")
	}
	for _, name := range []string{"jwt-issuer", "jwt-audience", "jwt-any-audience", "jwt-skew", "jwt-no-expiry", "jwt-user-claim", "jwt-rights-claim", "jwt-rights"} {
		fs.must(a.jwt() || !fs.given(name), name, "--%s says something of JWTs, and none are taken: give --jwt-secret, --jwt-secret-file, --jwt-key-file or --jwt-jwks-url", name)
	}
	for _, name := range []string{"token-query", "token-cookie"} {
		fs.must(a.jwt() || a.tokenFile != "" || !fs.given(name), name, "--%s says where tokens are, and none are taken: give --token-file, or a key of JWTs", name)
	}
	fs.must(a.on() || !fs.given("ticket-ttl"), "ticket-ttl", "--ticket-ttl: tickets are for hubs that ask for credentials")
	fs.must(a.on() || !fs.given("revocation-ttl"), "revocation-ttl", "--revocation-ttl: users are revoked at hubs that ask for credentials")
	fs.must(a.revokeFor == 0 || a.revokeFor >= time.Minute, "revocation-ttl", "--revocation-ttl %v: give 1m or more, or 0 for ever", (*ageValue)(&a.revokeFor))
	fs.must(a.on() || !fs.given("anonymous"), "anonymous", "--anonymous says what those without credentials may do, and nothing asks for any: give a key of JWTs, --token-file or --tls-client-name")
	fs.must(!a.anonymous.grant.Admin, "anonymous", "--anonymous must not give the right to administer the hub (admin): anybody would have it")
	fs.must(!(a.insecure && a.on()), "insecure", "--insecure contradicts the settings that ask for credentials: give one or the other")
	fs.must(!(a.anyAudience && len(a.audience.values) > 0), "jwt-any-audience", "--jwt-any-audience and --jwt-audience contradict each other: give one of them")
	fs.must(a.skew <= 5*time.Minute, "jwt-skew", "--jwt-skew %v: give 5m or less", (*ageValue)(&a.skew))
	fs.must(a.ticketTTL == 0 || a.ticketTTL >= time.Second && a.ticketTTL <= 10*time.Minute, "ticket-ttl", "--ticket-ttl %v: give 1s to 10m, or 0 for no tickets", (*ageValue)(&a.ticketTTL))
	fs.must(goodParameter(a.tokenQuery), "token-query", "--token-query %q: give a name of letters, digits and _ that streams have no use for, such as access_token", a.tokenQuery)
	_, err := cors.ParseOrigins(a.origins.values...)
	fs.must(err == nil, "cors-origin", "--cors-origin: %v", err)
	if a.clientName != "" {
		_, err = auth.MutualTLS(auth.CertName(a.clientName), func(string) (stream.Grant, bool) { return stream.Grant{}, false })
		fs.must(err == nil, "tls-client-name", "--tls-client-name: %v", err)
	}
	fs.must(a.clientName == "" || a.clientRights != "", "tls-client-name", "--tls-client-name takes the rights of users: give --tls-client-rights")
	fs.must(a.clientRights == "" || a.clientName != "", "tls-client-rights", "--tls-client-rights takes --tls-client-name, which says who a certificate is for")
	if a.credentials {
		origins, err := cors.ParseOrigins(a.origins.values...)
		everybody := slices.Contains(a.origins.values, "*") // beside an origin that is none, too
		fs.must(!everybody && (err != nil || !origins.Any() && !origins.Empty()), "cors-credentials", "--cors-credentials takes origins by name: list them with --cors-origin")
	}
}

// goodParameter reports whether a query parameter may have this name.
func goodParameter(name string) bool {
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_') {
			return false
		}
	}
	switch name {
	case "topic", "uid", "last_event_id", "since", "on_gap", "conflate", "may_wait", "ticket", "after", "limit", "name":
		return false
	}
	return true
}

// rightsValue is what a caller may do, as JSON.
type rightsValue struct {
	text  string
	grant stream.Grant
}

func (v *rightsValue) String() string { return v.text }

// Set parses text.
func (v *rightsValue) Set(text string) error {
	if text == "" {
		return errors.New(`must not be empty: give rights such as {"read":["news.>"]}`)
	}
	var g stream.Grant
	if err := auth.ParseRights([]byte(text), &g); err != nil {
		return fmt.Errorf(`%w; give rights such as {"read":["news.>"]}`, err)
	}
	v.text, v.grant = text, g
	return nil
}
