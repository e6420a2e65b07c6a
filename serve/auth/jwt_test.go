package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/auth"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

var (
	secret      = []byte("a secret of thirty-two bytes, or so")
	rsaKey      = must(rsa.GenerateKey(rand.Reader, 2048))
	p256Key     = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p384Key     = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	p521Key     = must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	_, edKey, _ = ed25519.GenerateKey(rand.Reader)
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func publicPEM(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// claims are those of a good token, changed by pairs of names and values; nil takes one away.
func claims(change ...any) jwt.MapClaims {
	c := jwt.MapClaims{"sub": "tom", "exp": begin.Add(time.Hour).Unix(), "jti": "j1"}
	for i := 0; i < len(change); i += 2 {
		if change[i+1] == nil {
			delete(c, change[i].(string))
		} else {
			c[change[i].(string)] = change[i+1]
		}
	}
	return c
}

// sign makes a token; header has pairs of names and values.
func sign(t testing.TB, method jwt.SigningMethod, key any, c jwt.MapClaims, header ...any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == nil {
			delete(token.Header, header[i].(string))
		} else {
			token.Header[header[i].(string)] = header[i+1]
		}
	}
	text, err := token.SignedString(key)
	require.NoError(t, err)
	return text
}

// forge makes a token of any texts, with an HMAC under the key.
func forge(header, payload string, key []byte) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func authorizer(t testing.TB, c auth.JWTConfig) stream.Authorizer {
	t.Helper()
	c.SetClock(clock)
	a, err := auth.JWT(c)
	require.NoError(t, err)
	return a
}

func secretKeys(t testing.TB) auth.Keys {
	t.Helper()
	k, err := auth.Secret(secret)
	require.NoError(t, err)
	return k
}

func TestJWTAlgorithms(t *testing.T) {
	for _, tc := range []struct {
		key     crypto.Signer
		methods []jwt.SigningMethod
	}{
		{rsaKey, []jwt.SigningMethod{jwt.SigningMethodRS256, jwt.SigningMethodRS384, jwt.SigningMethodRS512, jwt.SigningMethodPS256, jwt.SigningMethodPS384, jwt.SigningMethodPS512}},
		{p256Key, []jwt.SigningMethod{jwt.SigningMethodES256}},
		{p384Key, []jwt.SigningMethod{jwt.SigningMethodES384}},
		{p521Key, []jwt.SigningMethod{jwt.SigningMethodES512}},
		{edKey, []jwt.SigningMethod{jwt.SigningMethodEdDSA}},
		{nil, []jwt.SigningMethod{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512}},
	} {
		keys, signer := secretKeys(t), any(secret)
		if tc.key != nil {
			var err error
			keys, err = auth.PublicKeys(publicPEM(t, tc.key))
			require.NoError(t, err)
			signer = tc.key
		}
		a := authorizer(t, auth.JWTConfig{Keys: keys})
		for _, m := range tc.methods {
			token := sign(t, m, signer, claims(), "kid", "whatever: the key has no name")
			g, err := a(withBearer(token))
			require.NoError(t, err, m.Alg())
			require.Equal(t, stream.Grant{ID: "j1", User: "tom", Expires: begin.Add(time.Hour)}, normal(g))

			bad := []byte(token) // one bit of the signature, not of its last character, whose last bits mean nothing
			at := len(bad) - 10
			bad[at] = map[bool]byte{true: 'B', false: 'A'}[bad[at] == 'A']
			_, err = a(withBearer(string(bad)))
			refused(t, err, 401, "not valid")
		}
	}
}

// normal makes times comparable.
func normal(g stream.Grant) stream.Grant {
	g.Expires, g.Issued = g.Expires.UTC(), g.Issued.UTC()
	return g
}

func TestJWTClaims(t *testing.T) {
	a := authorizer(t, auth.JWTConfig{Keys: secretKeys(t), Issuer: "https://issuer", Audience: []string{"hub", "hub2"}, Skew: time.Minute})
	good := func(change ...any) jwt.MapClaims {
		return claims(append([]any{"iss", "https://issuer", "aud", "hub"}, change...)...)
	}
	for name, tc := range map[string]struct {
		claims jwt.MapClaims
		why    string // "": taken
	}{
		"good":                   {good(), ""},
		"one of its audiences":   {good("aud", []string{"other", "hub2"}), ""},
		"of a skewed clock":      {good("exp", begin.Add(-59*time.Second).Unix(), "nbf", begin.Add(59*time.Second).Unix()), ""},
		"fractions":              {good("exp", float64(begin.Unix())+0.5), ""},
		"expired":                {good("exp", begin.Add(-time.Minute).Unix()), "expired"},
		"long expired":           {good("exp", 0), "expired"},
		"without end":            {good("exp", nil), "lacks exp"},
		"not yet valid":          {good("nbf", begin.Add(61*time.Second).Unix()), "not valid yet"},
		"other issuer":           {good("iss", "https://issuer/"), "another issuer"},
		"no issuer":              {good("iss", nil), "lacks"},
		"other audience":         {good("aud", []string{"other"}), "another audience"},
		"no audience":            {good("aud", nil), "lacks"},
		"exp is a text":          {good("exp", fmt.Sprint(begin.Add(time.Hour).Unix())), "not valid"},
		"exp is huge":            {good("exp", 1e300), "not valid"},
		"exp is negative":        {good("exp", -1), "not valid"},
		"exp is a list":          {good("exp", []int{1}), "not valid"},
		"nbf is an object":       {good("nbf", map[string]int{}), "not valid"},
		"sub is a number":        {good("sub", 7), "not valid"},
		"sub cannot be a user":   {good("sub", "a\x00b"), "claim sub"},
		"sub is long":            {good("sub", strings.Repeat("u", 257)), "claim sub"},
		"jti is huge":            {good("jti", strings.Repeat("j", 257)), "not valid"},
		"exp in other letters":   {good("exp", begin.Add(-time.Hour).Unix(), "EXP", begin.Add(time.Hour).Unix()), "expired"},
		"rights misspelt":        {good("spate", map[string]any{"raed": []string{">"}}), `"raed"`},
		"rights in capitals":     {good("spate", map[string]any{"Read": []string{">"}}), `"Read"`},
		"rights beyond patterns": {good("spate", map[string]any{"read": []string{"a.>.b"}}), "read[0]"},
		"rights are a text":      {good("spate", "everything"), "must be an object"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := a(withBearer(sign(t, jwt.SigningMethodHS256, secret, tc.claims)))
			if tc.why == "" {
				require.NoError(t, err)
				return
			}
			refused(t, err, 401, tc.why)
		})
	}

	plain := authorizer(t, auth.JWTConfig{Keys: secretKeys(t)})
	_, err := plain(withBearer(sign(t, jwt.SigningMethodHS256, secret, claims("aud", "other"))))
	refused(t, err, 401, "another audience")
	anyone := authorizer(t, auth.JWTConfig{Keys: secretKeys(t), AnyAudience: true, NoExpiry: true})
	g, err := anyone(withBearer(sign(t, jwt.SigningMethodHS256, secret, claims("aud", "other", "exp", nil))))
	require.NoError(t, err)
	require.True(t, g.Expires.IsZero())
}

// A token that claims to come from later would outlive the revocation of its user, whenever that is.
func TestJWTIssuedInTheFuture(t *testing.T) {
	a := authorizer(t, auth.JWTConfig{Keys: secretKeys(t), Skew: time.Minute})
	ask := func(iat time.Time) error {
		_, err := a(withBearer(sign(t, jwt.SigningMethodHS256, secret, claims("iat", iat.Unix()))))
		return err
	}
	require.NoError(t, ask(begin.Add(time.Minute)), "the issuer's clock may be ahead")
	refused(t, ask(begin.Add(time.Minute+time.Second)), 401, "issued in the future")
}

func TestJWTGrant(t *testing.T) {
	a := authorizer(t, auth.JWTConfig{Keys: secretKeys(t), Default: stream.Grant{Read: patterns(t, "public.>"), Limits: stream.Limits{Connections: 3, Topics: 9}}})
	rights := map[string]any{
		"read":   []string{"orders.>", "prices"},
		"push":   map[string]any{"topics": []string{"orders.*"}, "users": []string{"ann"}, "any_user": false, "everyone": true},
		"limits": map[string]any{"connections": 5, "push_events": 0.5, "push_bytes": 65536},
	}
	g, err := a(withBearer(sign(t, jwt.SigningMethodHS256, secret, claims("spate", rights, "iat", begin.Unix()))))
	require.NoError(t, err)
	require.Equal(t, stream.Grant{
		ID: "j1", User: "tom", Expires: begin.Add(time.Hour), Issued: begin,
		Read:   patterns(t, "orders.>", "prices"),
		Push:   stream.PushRights{Topics: patterns(t, "orders.*"), Users: []string{"ann"}, Everyone: true},
		Limits: stream.Limits{Connections: 5, Topics: 9, PushEvents: 0.5, PushBytes: 65536},
	}, normal(g))

	g, err = a(withBearer(sign(t, jwt.SigningMethodHS256, secret, claims())))
	require.NoError(t, err)
	require.Equal(t, patterns(t, "public.>"), g.Read)

	// Without a name, a token is named by what it says, however its signature is written.
	one, err := a(withBearer(sign(t, jwt.SigningMethodHS256, secret, claims("jti", nil))))
	require.NoError(t, err)
	two, err := a(withBearer(sign(t, jwt.SigningMethodHS256, secret, claims("jti", nil))))
	require.NoError(t, err)
	other, err := a(withBearer(sign(t, jwt.SigningMethodHS256, secret, claims("jti", nil, "n", 1))))
	require.NoError(t, err)
	require.Equal(t, one.ID, two.ID)
	require.NotEqual(t, one.ID, other.ID)
	require.NotEmpty(t, one.ID)
}

// The rights of a token are those that it says, whichever token came before, and tokens
// that say the same ones cost less.
func TestJWTRightsOfEachToken(t *testing.T) {
	authorize := authorizer(t, auth.JWTConfig{Keys: secretKeys(t), Default: stream.Grant{Limits: stream.Limits{Topics: 7}}})
	token := func(user string, rights any) *http.Request {
		return withBearer(sign(t, jwt.SigningMethodHS256, secret, claims("sub", user, "spate", rights)))
	}
	one := map[string]any{"read": []string{"orders.>"}, "push": map[string]any{"topics": []string{"a"}}, "limits": map[string]any{"connections": 5}}
	two := map[string]any{"read": []string{"prices"}, "admin": true}
	for i, rights := range []map[string]any{one, one, two, one, two, two, one} {
		g, err := authorize(token(fmt.Sprint("u", i), rights))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint("u", i), g.User)
		want := stream.Grant{Read: patterns(t, "prices"), Admin: true, Limits: stream.Limits{Topics: 7}}
		if _, first := rights["push"]; first {
			want = stream.Grant{Read: patterns(t, "orders.>"), Push: stream.PushRights{Topics: patterns(t, "a")}, Limits: stream.Limits{Topics: 7, Connections: 5}}
		}
		require.Equal(t, want, stream.Grant{Read: g.Read, Push: g.Push, Admin: g.Admin, Limits: g.Limits})
	}
	same, other := token("u", one), token("u", two)
	ask := func(r *http.Request) { must(authorize(r)) }
	ask(same)
	equal := testing.AllocsPerRun(100, func() { ask(same); ask(same) })
	turns := testing.AllocsPerRun(100, func() { ask(same); ask(other) })
	require.Less(t, equal+20, turns)
}

// TestJWTAttacks: tokens that were taken by one library or another.
func TestJWTAttacks(t *testing.T) {
	rsaPEM := publicPEM(t, rsaKey)
	jwks := fmt.Sprintf(`{"keys":[%s,%s]}`, jwkOf(t, rsaKey, "r", ""), jwkOf(t, p256Key, "e", "ES256"))
	public, err := auth.PublicKeys([]byte(jwks))
	require.NoError(t, err)
	single, err := auth.PublicKeys(rsaPEM)
	require.NoError(t, err)
	der := must(x509.MarshalPKIXPublicKey(rsaKey.Public()))
	payload := string(must(json.Marshal(claims())))
	b64 := base64.RawURLEncoding.EncodeToString
	unsigned := func(header string) string { return b64([]byte(header)) + "." + b64([]byte(payload)) + "." }
	good := sign(t, jwt.SigningMethodRS256, rsaKey, claims(), "kid", "r")
	parts := strings.Split(good, ".")
	// An attacker's own key, offered in the header.
	own := must(rsa.GenerateKey(rand.Reader, 2048))
	var ownJWK map[string]any
	require.NoError(t, json.Unmarshal([]byte(jwkOf(t, own, "r", "")), &ownJWK))
	// The zero signature of the "psychic" ECDSA fault.
	psychic := b64([]byte(`{"alg":"ES256","kid":"e"}`)) + "." + b64([]byte(payload)) + "." + b64(make([]byte, 64))

	for name, tc := range map[string]struct{ token string }{
		"none":                       {unsigned(`{"alg":"none"}`)},
		"None":                       {unsigned(`{"alg":"None"}`)},
		"NONE with kid":              {unsigned(`{"alg":"NONE","kid":"r"}`)},
		"none and a signature":       {unsigned(`{"alg":"none","kid":"r"}`) + parts[2]},
		"empty alg":                  {unsigned(`{"alg":"","kid":"r"}`)},
		"no alg":                     {unsigned(`{"kid":"r"}`)},
		"alg is a list":              {unsigned(`{"alg":["none"],"kid":"r"}`)},
		"alg given twice":            {unsigned(`{"alg":"RS256","alg":"none","kid":"r"}`)},
		"unknown alg":                {unsigned(`{"alg":"HS1","kid":"r"}`)},
		"no signature":               {parts[0] + "." + parts[1] + "."},
		"other payload":              {parts[0] + "." + b64([]byte(strings.Replace(payload, "tom", "ann", 1))) + "." + parts[2]},
		"HMAC with the public PEM":   {forge(`{"alg":"HS256","kid":"r"}`, payload, rsaPEM)},
		"HMAC, PEM without line end": {forge(`{"alg":"HS256","kid":"r"}`, payload, []byte(strings.TrimSpace(string(rsaPEM))))},
		"HMAC with the public DER":   {forge(`{"alg":"HS256","kid":"r"}`, payload, der)},
		"HMAC with the modulus":      {forge(`{"alg":"HS256","kid":"r"}`, payload, rsaKey.N.Bytes())},
		"HMAC with the JWK set":      {forge(`{"alg":"HS256","kid":"r"}`, payload, []byte(jwks))},
		"HMAC with nothing":          {forge(`{"alg":"HS256","kid":"r"}`, payload, nil)},
		"kid is a path":              {forge(`{"alg":"HS256","kid":"../../../../../../dev/null"}`, payload, nil)},
		"kid is a path to a key":     {forge(`{"alg":"HS256","kid":"/proc/sys/kernel/randomize_va_space"}`, payload, []byte("2\n"))},
		"kid is SQL":                 {forge(`{"alg":"HS256","kid":"x' UNION SELECT 'k"}`, payload, []byte("k"))},
		"kid is a command":           {unsigned(`{"alg":"RS256","kid":"r|id"}`) + parts[2]},
		"kid is an object":           {unsigned(`{"alg":"RS256","kid":{"r":1}}`) + parts[2]},
		"kid is empty":               {unsigned(`{"alg":"RS256","kid":""}`) + parts[2]},
		"kid is huge":                {sign(t, jwt.SigningMethodRS256, rsaKey, claims(), "kid", strings.Repeat("r", 300))},
		"kid of another key":         {sign(t, jwt.SigningMethodRS256, rsaKey, claims(), "kid", "e")},
		"own key in jwk":             {sign(t, jwt.SigningMethodRS256, own, claims(), "kid", "r", "jwk", ownJWK)},
		"own key at jku":             {sign(t, jwt.SigningMethodRS256, own, claims(), "kid", "r", "jku", "https://evil.org/keys")},
		"own key at x5u":             {sign(t, jwt.SigningMethodRS256, own, claims(), "kid", "r", "x5u", "https://evil.org/cert")},
		"psychic signature":          {psychic},
		"ES256 key for ES384":        {unsigned(`{"alg":"ES384","kid":"e"}`) + parts[2]},
		"crit":                       {sign(t, jwt.SigningMethodRS256, rsaKey, claims(), "kid", "r", "crit", []string{"exp"})},
		"crit of b64":                {sign(t, jwt.SigningMethodRS256, rsaKey, claims(), "kid", "r", "crit", []string{"b64"}, "b64", false)},
		"a token to log out":         {sign(t, jwt.SigningMethodRS256, rsaKey, claims(), "kid", "r", "typ", "logout+jwt")},
		"typ is no text":             {sign(t, jwt.SigningMethodRS256, rsaKey, claims(), "kid", "r", "typ", 7)},
		"padding":                    {parts[0] + "=." + parts[1] + "." + parts[2]},
		"loose bits in base64":       {good[:len(good)-1] + string(looseTwin(good[len(good)-1]))},
		"standard base64":            {base64.RawStdEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"r","x":"~~~???"}`)) + "." + parts[1] + "." + parts[2]},
		"header is no object":        {b64([]byte(`"RS256"`)) + "." + parts[1] + "." + parts[2]},
		"header is null":             {b64([]byte(`null`)) + "." + parts[1] + "." + parts[2]},
		"payload is null":            {signText(t, `{"alg":"RS256","kid":"r"}`, `null`)},
		"payload is a list":          {signText(t, `{"alg":"RS256","kid":"r"}`, `[]`)},
		"payload and more":           {signText(t, `{"alg":"RS256","kid":"r"}`, payload+payload)},
		"exp is null":                {signText(t, `{"alg":"RS256","kid":"r"}`, `{"sub":"tom","exp":null}`)},
		"huge":                       {sign(t, jwt.SigningMethodRS256, rsaKey, claims("pad", strings.Repeat("x", 8<<10)), "kid", "r")},
		"huge header":                {sign(t, jwt.SigningMethodRS256, rsaKey, claims(), "kid", "r", "pad", strings.Repeat("x", 8<<10))},
		"many claims":                {sign(t, jwt.SigningMethodRS256, rsaKey, many(claims(), 300), "kid", "r")},
		"only dots":                  {".."},
		"blanks":                     {" . . "},
	} {
		t.Run(name, func(t *testing.T) {
			for i, keys := range []auth.Keys{public, single} {
				if i == 1 && (strings.Contains(name, "kid of another") || name == "kid is a command") {
					continue // a key without a name takes any kid
				}
				a := authorizer(t, auth.JWTConfig{Keys: keys})
				g, err := a(withBearer(tc.token))
				require.Zero(t, g)
				var e *stream.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, 401, e.Status)
				require.NotContains(t, e.Message, "kid", "what is wrong is not told to who has no good token")
			}
		})
	}
	for _, keys := range []auth.Keys{public, single} { // and the good one is taken: the above fail for their own reasons
		_, err := authorizer(t, auth.JWTConfig{Keys: keys})(withBearer(good))
		require.NoError(t, err)
	}
	for _, typ := range []any{"JWT", "jwt", "at+jwt", "application/at+jwt", nil} {
		_, err := authorizer(t, auth.JWTConfig{Keys: public})(withBearer(sign(t, jwt.SigningMethodRS256, rsaKey, claims(), "kid", "r", "typ", typ)))
		require.NoError(t, err)
	}
}

// looseTwin is another last character that decodes to the same byte: RSA signatures of 256 bytes end with two loose bits.
func looseTwin(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)|1]
}

func many(c jwt.MapClaims, n int) jwt.MapClaims {
	for i := range n {
		c[fmt.Sprint("c", i)] = 1
	}
	return c
}

// signText signs any texts by RS256.
func signText(t testing.TB, header, payload string) string {
	t.Helper()
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	sig, err := jwt.SigningMethodRS256.Sign(text, rsaKey)
	require.NoError(t, err)
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func TestJWTRefusesSettings(t *testing.T) {
	for what, c := range map[string]auth.JWTConfig{
		"no keys":      {},
		"clocks":       {Keys: secretKeys(t), Skew: time.Hour},
		"any audience": {Keys: secretKeys(t), AnyAudience: true, Audience: []string{"hub"}},
	} {
		_, err := auth.JWT(c)
		require.ErrorContains(t, err, what)
	}
}

func patterns(t testing.TB, texts ...string) []wire.Pattern {
	t.Helper()
	list := make([]wire.Pattern, len(texts))
	for i, s := range texts {
		var err error
		list[i], err = wire.ParsePattern(s)
		require.NoError(t, err)
	}
	return list
}

// FuzzJWT: no text that was not signed is a token, and none makes it panic.
func FuzzJWT(f *testing.F) {
	keys, err := auth.Secret(secret)
	if err != nil {
		f.Fatal(err)
	}
	c := auth.JWTConfig{Keys: keys}
	c.SetClock(clock)
	a, err := auth.JWT(c)
	if err != nil {
		f.Fatal(err)
	}
	good := sign(f, jwt.SigningMethodHS256, secret, claims())
	f.Add(good)
	f.Add("a.b.c")
	f.Add(forge(`{"alg":"none"}`, `{"exp":1e9}`, nil))
	f.Fuzz(func(t *testing.T, token string) {
		if token == good {
			return
		}
		_, err := a(&http.Request{Header: http.Header{"Authorization": {"Bearer " + token}}, URL: withBearer("").URL})
		require.Error(t, err)
	})
}
