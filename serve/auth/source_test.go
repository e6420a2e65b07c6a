package auth_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/stream"
)

func TestSource(t *testing.T) {
	good := sign(t, jwt.SigningMethodHS256, secret, claims())
	const page = "https://app.example.com"
	a := authorizer(t, auth.JWTConfig{Keys: secretKeys(t), Source: auth.Source{Query: "access_token", Cookie: "session", Origins: origins(t, page)}})
	for name, tc := range map[string]struct {
		r      *http.Request
		status int // 200: taken
		what   string
	}{
		"bearer":                     {withBearer(good), 200, ""},
		"any case":                   {ask("/", "Authorization", "bEARER "+good), 200, ""},
		"other scheme":               {ask("/", "Authorization", "Basic dG9tOng="), 401, "needs credentials"},
		"no token":                   {ask("/", "Authorization", "Bearer "), 400, "Authorization"},
		"two headers":                {ask("/", "Authorization", "Bearer "+good, "Authorization", "Bearer "+good), 400, "Authorization"},
		"nothing":                    {ask("/"), 401, "needs credentials"},
		"query":                      {ask("/?access_token=" + good), 200, ""},
		"query, escaped":             {ask("/?a=b&access_token=" + good + "&c=%20"), 200, ""},
		"query twice":                {ask("/?access_token=" + good + "&access_token=" + good), 400, "access_token"},
		"query empty":                {ask("/?access_token="), 400, "access_token"},
		"query broken":               {ask("/?access_token=" + good + "&x=1;y=2"), 400, "semicolon"},
		"query, name escaped":        {ask("/?access%5Ftoken=" + good), 200, ""},
		"query among very many":      {ask("/?access_token=" + good + strings.Repeat("&", 10_001)), 200, ""},
		"other query":                {ask("/?token=" + good), 401, "needs credentials"},
		"query and header":           {ask("/?access_token="+good, "Authorization", "Bearer "+good), 400, "access_token"},
		"cookie of a page":           {ask("/", "Cookie", "session="+good, "Origin", page), 200, ""},
		"cookie of our page":         {ask("/", "Cookie", "session="+good, "Sec-Fetch-Site", "same-origin"), 200, ""},
		"cookie of our page, origin": {ask("/", "Cookie", "session="+good, "Origin", "https://hub.example.com"), 200, ""},
		"cookie of another page":     {ask("/", "Cookie", "session="+good, "Origin", "https://evil.org"), 403, "Origin"},
		"cookie of a null page":      {ask("/", "Cookie", "session="+good, "Origin", "null"), 403, "Origin"},
		"cookie of a sister page":    {ask("/", "Cookie", "session="+good, "Sec-Fetch-Site", "same-site"), 403, "Origin"},
		"cookie of a sister, origin": {ask("/", "Cookie", "session="+good, "Sec-Fetch-Site", "same-site", "Origin", "https://x.example.com"), 403, "Origin"},
		"cookie of a form":           {ask("/", "Cookie", "session="+good, "Sec-Fetch-Site", "cross-site"), 403, "Origin"},
		"cookie of who knows":        {ask("/", "Cookie", "session="+good), 403, "Origin"},
		"cookie twice":               {ask("/", "Cookie", "session="+good+"; session="+good, "Origin", page), 400, "session twice"},
		"bad cookie, good bearer":    {ask("/", "Cookie", "session=x", "Authorization", "Bearer "+good), 200, ""},
		"other cookie":               {ask("/", "Cookie", "other="+good, "Origin", page), 401, "needs credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := a(tc.r)
			if tc.status == 200 {
				require.NoError(t, err)
				return
			}
			refused(t, err, tc.status, tc.what)
		})
	}
	// Every origin is none to trust with a cookie.
	a = authorizer(t, auth.JWTConfig{Keys: secretKeys(t), Source: auth.Source{Cookie: "session", Origins: origins(t, "*")}})
	_, err := a(ask("/", "Cookie", "session="+good, "Origin", page))
	refused(t, err, 403, "Origin")
	// And what was not asked for is not looked at.
	a = authorizer(t, auth.JWTConfig{Keys: secretKeys(t)})
	_, err = a(ask("/?access_token="+good, "Cookie", "session="+good, "Origin", page))
	refused(t, err, 401, "needs credentials")
}

func TestStaticTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	write := func(text string) {
		require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
	ci, ciHash := auth.NewToken()
	other, otherHash := auth.NewToken()
	require.NotEqual(t, ci, other)
	require.Equal(t, ciHash, auth.HashToken(ci))
	require.Equal(t, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", auth.HashToken("abc"))
	entry := func(hash, rest string) string { return `{"hash":"` + hash + `"` + rest + `}` }
	write(`{"tokens":[` + entry(ciHash, `,"id":"ci","user":"ci","expires":"2100-01-31T00:00:00Z","read":["builds.>"],"push":{"topics":["builds.*"]},"limits":{"connections":5}`) + `,` +
		entry(otherHash, `,"id":"old","expires":"2020-01-01T00:00:00Z"`) + `]}`)
	told := make(chan error, 10)
	a, err := auth.StaticTokens(path, auth.Source{}, func(err error) { told <- err })
	require.NoError(t, err)
	g, err := a(withBearer(ci))
	require.NoError(t, err)
	require.Equal(t, stream.Grant{
		ID: "ci", User: "ci", Expires: time.Date(2100, 1, 31, 0, 0, 0, 0, time.UTC), Read: patterns(t, "builds.>"),
		Push: stream.PushRights{Topics: patterns(t, "builds.*")}, Limits: stream.Limits{Connections: 5},
	}, normal(g))
	_, err = a(withBearer(other))
	refused(t, err, 401, "expired")
	for _, bad := range []string{ciHash, ci + "x", ci[:len(ci)-1], "x", string(make([]byte, 2000))} {
		_, err = a(withBearer(bad))
		require.Error(t, err)
	}

	write(`{"tokens":[` + entry(otherHash, `,"id":"old"`) + `]}`)
	require.Eventually(t, func() bool { _, err := a(withBearer(other)); return err == nil }, 30*time.Second, 10*time.Millisecond)
	_, err = a(withBearer(ci))
	refused(t, err, 401, "not valid")

	for what, text := range map[string]string{
		"must be an object":     `[]`,
		`"token": is not known`: `{"token":[]}`,
		"tokens: must be":       `{"tokens":7}`,
		"tokens[0].hash":        `{"tokens":[{"id":"x"}]}`,
		"not the token itself":  `{"tokens":[` + entry(ci, `,"id":"x"`) + `]}`,
		"tokens[0].id":          `{"tokens":[` + entry(ciHash, ``) + `]}`,
		"tokens[1].hash":        `{"tokens":[` + entry(ciHash, `,"id":"x"`) + `,` + entry(ciHash, `,"id":"y"`) + `]}`,
		"tokens[1].id":          `{"tokens":[` + entry(ciHash, `,"id":"x"`) + `,` + entry(otherHash, `,"id":"x"`) + `]}`,
		"tokens[0].expires":     `{"tokens":[` + entry(ciHash, `,"id":"x","expires":"tomorrow"`) + `]}`,
		"tokens[0].user":        `{"tokens":[` + entry(ciHash, `,"id":"x","user":""`) + `]}`,
		"tokens[0].raed":        `{"tokens":[` + entry(ciHash, `,"id":"x","raed":[]`) + `]}`,
		"tokens[0].read[0]":     `{"tokens":[` + entry(ciHash, `,"id":"x","read":[""]`) + `]}`,
		"tokens[0].push.users":  `{"tokens":[` + entry(ciHash, `,"id":"x","push":{"users":"all"}`) + `]}`,
		"push.any_user":         `{"tokens":[` + entry(ciHash, `,"id":"x","push":{"any_user":"true"}`) + `]}`,
		"limits.connections":    `{"tokens":[` + entry(ciHash, `,"id":"x","limits":{"connections":0}`) + `]}`,
		"limits.push_bytes":     `{"tokens":[` + entry(ciHash, `,"id":"x","limits":{"push_bytes":-1}`) + `]}`,
		"limits.topics":         `{"tokens":[` + entry(ciHash, `,"id":"x","limits":{"topics":1.5}`) + `]}`,
		"null":                  `{"tokens":[` + entry(ciHash, `,"id":null`) + `]}`,
	} {
		write(text)
		_, err := auth.StaticTokens(path, auth.Source{}, nil)
		require.ErrorContains(t, err, path)
		if what != "null" {
			require.ErrorContains(t, err, what)
		}
	}
}

func TestFirst(t *testing.T) {
	token, hash := auth.NewToken()
	path := filepath.Join(t.TempDir(), "tokens.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"tokens":[{"hash":"`+hash+`","id":"static"}]}`), 0o600))
	static, err := auth.StaticTokens(path, auth.Source{}, nil)
	require.NoError(t, err)
	signed := authorizer(t, auth.JWTConfig{Keys: secretKeys(t)})
	tickets := auth.NewTickets(auth.TicketsConfig{})
	for _, a := range []stream.Authorizer{auth.First(static, signed, tickets.Authorize), auth.First(tickets.Authorize, signed, static)} {
		g, err := a(withBearer(token))
		require.NoError(t, err)
		require.Equal(t, "static", g.ID)
		g, err = a(withBearer(sign(t, jwt.SigningMethodHS256, secret, claims())))
		require.NoError(t, err)
		require.Equal(t, "j1", g.ID)
		_, err = a(withBearer(sign(t, jwt.SigningMethodHS256, secret, claims("exp", 1))))
		refused(t, err, 401, "expired")
		_, err = a(withBearer("unknown"))
		refused(t, err, 401, "credentials")
		_, err = a(ask("/"))
		refused(t, err, 401, "credentials")

		open := auth.OrAnonymous(a, stream.Grant{Read: patterns(t, "public")})
		g, err = open(ask("/"))
		require.NoError(t, err)
		require.Equal(t, patterns(t, "public"), g.Read)
		_, err = open(withBearer(sign(t, jwt.SigningMethodHS256, secret, claims("exp", 1))))
		refused(t, err, 401, "expired")
	}
}

// get asks a handler for a ticket.
func get(t *testing.T, h http.Handler, token string) (status int, ticket string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "https://hub.example.com/tickets", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	var answer struct {
		Ticket  string `json:"ticket"`
		Expires int    `json:"expires_in"`
	}
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &answer))
	if rec.Code == 200 {
		require.Equal(t, 30, answer.Expires)
		require.Len(t, answer.Ticket, 43)
		require.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
	}
	return rec.Code, answer.Ticket
}

// tickets is a store and its handler, under a clock moved by hand.
func tickets(t *testing.T, c auth.TicketsConfig, now *time.Time) (*auth.Tickets, http.Handler) {
	t.Helper()
	c.SetClock(func() time.Time { return *now })
	s := auth.NewTickets(c)
	return s, s.Handler(authorizer(t, auth.JWTConfig{Keys: secretKeys(t)}))
}

func TestTickets(t *testing.T) {
	now := begin
	s, h := tickets(t, auth.TicketsConfig{}, &now)
	tom := sign(t, jwt.SigningMethodHS256, secret, claims("spate", map[string]any{"read": []string{"a.>"}}))
	status, ticket := get(t, h, tom)
	require.Equal(t, 200, status)
	g, err := s.Authorize(ask("/events?ticket=" + ticket))
	require.NoError(t, err)
	require.Equal(t, stream.Grant{ID: "j1", User: "tom", Expires: begin.Add(time.Hour), Read: patterns(t, "a.>")}, normal(g))
	_, err = s.Authorize(ask("/events?ticket=" + ticket))
	refused(t, err, 401, "was used")

	_, ticket = get(t, h, tom)
	now = begin.Add(30 * time.Second)
	_, err = s.Authorize(ask("/events?ticket=" + ticket))
	refused(t, err, 401, "has expired")
	_, err = s.Authorize(ask("/events"))
	refused(t, err, 401, "needs credentials")
	for _, bad := range []string{"x", ticket + "x", ticket[1:] + "A"} {
		_, err = s.Authorize(ask("/events?ticket=" + bad))
		refused(t, err, 401, "valid")
	}
	_, err = s.Authorize(ask("/events?ticket=" + ticket + "&ticket=" + ticket))
	refused(t, err, 400, "ticket")

	status, _ = get(t, h, "")
	require.Equal(t, 401, status)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, ask("/tickets"))
	require.Equal(t, 405, rec.Code)
	require.Equal(t, "POST", rec.Header().Get("Allow"))

	// What the credentials allowed ends with them.
	_, ticket = get(t, h, sign(t, jwt.SigningMethodHS256, secret, claims("exp", begin.Add(10*time.Second).Unix())))
	now = begin.Add(31 * time.Second)
	_, err = s.Authorize(ask("/events?ticket=" + ticket))
	refused(t, err, 401, "expired")

	_, ticket = get(t, h, tom)
	s.Revoke(func(g *stream.Grant) bool { return g.User == "ann" })
	s.Revoke(func(g *stream.Grant) bool { return g.User == "tom" })
	_, err = s.Authorize(ask("/events?ticket=" + ticket))
	refused(t, err, 401, "valid")
}

// (Invariant 5.) Tickets are bounded in all and for each user, and give everything back.
func TestTicketsAreBounded(t *testing.T) {
	now := begin
	s, h := tickets(t, auth.TicketsConfig{Max: 5, PerUser: 3}, &now)
	user := func(name string) string { return sign(t, jwt.SigningMethodHS256, secret, claims("sub", name)) }
	var last string
	for range 3 {
		status, ticket := get(t, h, user("tom"))
		require.Equal(t, 200, status)
		last = ticket
	}
	status, _ := get(t, h, user("tom"))
	require.Equal(t, 429, status)
	for _, name := range []string{"ann", "eve"} {
		status, _ = get(t, h, user(name))
		require.Equal(t, 200, status)
	}
	status, _ = get(t, h, user("bob"))
	require.Equal(t, 503, status)
	_, err := s.Authorize(ask("/events?ticket=" + last))
	require.NoError(t, err)
	status, _ = get(t, h, user("bob"))
	require.Equal(t, 200, status)
	now = now.Add(time.Minute)
	for range 1000 { // used ones leave nothing behind
		now = now.Add(time.Second)
		_, ticket := get(t, h, user("tom"))
		_, err := s.Authorize(ask("/events?ticket=" + ticket))
		require.NoError(t, err)
		kept, owners, queue := s.Kept()
		require.Zero(t, kept+owners+queue)
	}
}

// FuzzTicket: no text that was not given out is a ticket.
func FuzzTicket(f *testing.F) {
	s := auth.NewTickets(auth.TicketsConfig{})
	grant := func(*http.Request) (stream.Grant, error) { return stream.FullGrant("u"), nil }
	rec := httptest.NewRecorder()
	s.Handler(grant).ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/tickets", nil))
	var answer struct{ Ticket string }
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		f.Fatal(err)
	}
	f.Add("ticket=" + answer.Ticket[1:] + "x")
	f.Add("ticket=%")
	f.Add("ticket=a&ticket=b;")
	f.Fuzz(func(t *testing.T, query string) {
		r := ask("/events")
		r.URL.RawQuery = query
		_, err := s.Authorize(r)
		var e *stream.Error
		require.ErrorAs(t, err, &e)
		require.Contains(t, []int{400, 401}, e.Status)
	})
}

func TestRevocations(t *testing.T) {
	now := begin
	var v auth.Revocations
	v.SetClock(func() time.Time { return now })
	base := stream.Grant{ID: "g1", User: "tom", Issued: begin.Add(-time.Hour)}
	check := v.Guard(func(*http.Request) (stream.Grant, error) { return base, nil })
	_, err := check(ask("/"))
	require.NoError(t, err)

	require.NoError(t, v.Grant("g1", begin.Add(time.Hour)))
	_, err = check(ask("/"))
	refused(t, err, 403, "revoked")
	now = begin.Add(time.Hour)
	_, err = check(ask("/"))
	require.NoError(t, err, "forgotten when it would have expired")

	require.NoError(t, v.User("tom", time.Time{}))
	_, err = check(ask("/"))
	refused(t, err, 403, "revoked")
	base.Issued = now.Add(time.Second)
	_, err = check(ask("/"))
	require.NoError(t, err, "what was given afterwards is good")
	base.Issued = time.Time{}
	_, err = check(ask("/"))
	refused(t, err, 403, "revoked")
	base.User = "ann"
	_, err = check(ask("/"))
	require.NoError(t, err)

	for i := range 100_000 { // bounded, and what is over makes room
		err := v.Grant("g"+strconv.Itoa(i), now.Add(time.Minute))
		require.True(t, err == nil || errors.Is(err, auth.ErrRevocationsFull), err)
	}
	refused(t, v.Grant("one more", time.Time{}), 503, "100000")
	require.ErrorIs(t, v.User("one more", time.Time{}), auth.ErrRevocationsFull)
	require.NoError(t, v.User("tom", time.Time{}), "the place of one that is there")
	require.False(t, v.Revoked(&stream.Grant{ID: "one more"}))
	require.Error(t, v.User("", time.Time{}))
	require.Error(t, v.Grant("", time.Time{}))
	now = now.Add(time.Minute)
	require.NoError(t, v.Grant("one more", time.Time{}))
	require.True(t, v.Revoked(&stream.Grant{ID: "one more"}))
	require.True(t, v.Revoked(&stream.Grant{User: "tom"}), "what is still of use stays")
}
