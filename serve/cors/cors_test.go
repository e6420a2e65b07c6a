package cors_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/serve/cors"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

func origins(t testing.TB, list ...string) cors.Origins {
	t.Helper()
	o, err := cors.ParseOrigins(list...)
	require.NoError(t, err)
	return o
}

func TestOrigins(t *testing.T) {
	for entry, want := range map[string]struct{ allowed, refused []string }{
		"https://app.example.com": {[]string{"https://app.example.com"},
			[]string{"http://app.example.com", "https://app.example.com:8443", "https://x.app.example.com", "https://app.example.com.evil.org", "https://app.example.com/", "null", ""}},
		"HTTPS://App.Example.com:443": {[]string{"https://app.example.com"}, []string{"https://app.example.com:443"}},
		"http://localhost:3000":       {[]string{"http://localhost:3000"}, []string{"http://localhost", "https://localhost:3000", "http://localhost:30000"}},
		"http://[::1]:3000":           {[]string{"http://[::1]:3000"}, []string{"http://[::1]"}},
		"app.example.com":             {[]string{"https://app.example.com"}, []string{"http://app.example.com"}},
		"*.example.com": {[]string{"https://a.example.com", "https://a.b.example.com"},
			[]string{"https://example.com", "https://.example.com", "https://aexample.com", "http://a.example.com", "https://a.example.com:8443",
				"https://evil.org/.example.com", "https://evil.org?.example.com", "https://evil.org#.example.com", "https://u@.example.com", "https://a..example.com",
				"https://evil.org\\.example.com", "https://evil.org:80.example.com", "https://A.example.com"}},
		"http://*.example.com:8080": {[]string{"http://a.example.com:8080"}, []string{"http://a.example.com", "https://a.example.com:8080", "http://a.example.com:80:8080"}},
		"*":                         {[]string{"https://a.example.com", "null"}, []string{"", "https://" + strings.Repeat("a", 400)}},
	} {
		o := origins(t, entry)
		for _, origin := range want.allowed {
			require.True(t, o.Allows(origin), "%s allows %q", entry, origin)
		}
		for _, origin := range want.refused {
			require.False(t, o.Allows(origin), "%s refuses %q", entry, origin)
		}
	}
	for _, entry := range []string{"", "ftp://a.b", "https://", "https://a.b/", "https://a.b/x", "https://a.b?x", "https://a.b#", "https://u@a.b", "https://*.com", "https://*",
		"https://a.*.com", "https://*a.example.com", "a b", "null", "https://a.b:", "https://a.b:x", "*.", "https://*.[::1]"} {
		_, err := cors.ParseOrigins("https://good.example.com", entry)
		if entry == "null" { // a host name like any other, and not what browsers mean by it
			o := origins(t, entry)
			require.False(t, o.Allows("null"))
			continue
		}
		require.ErrorContains(t, err, `"`+entry+`"`, "refused by name")
	}
	var none cors.Origins
	require.True(t, none.Empty())
	require.False(t, none.Allows("https://a.example.com"))
}

func request(method string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "https://hub.example.com/events", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func TestHandler(t *testing.T) {
	const app, other = "https://app.example.com", "https://evil.org"
	for name, tc := range map[string]struct {
		policy  cors.Policy
		request *http.Request
		status  int // 299: by next
		want    map[string]string
	}{
		"no page": {cors.Policy{Origins: origins(t, app)}, request("GET"), 299,
			map[string]string{"Vary": "Origin", "Access-Control-Allow-Origin": "", "Cross-Origin-Resource-Policy": "same-origin"}},
		"page": {cors.Policy{Origins: origins(t, app)}, request("GET", "Origin", app), 299,
			map[string]string{"Vary": "Origin", "Access-Control-Allow-Origin": app, "Access-Control-Allow-Credentials": "", "Access-Control-Expose-Headers": "Idempotency-Replayed, Retry-After, WWW-Authenticate"}},
		"page with credentials": {cors.Policy{Origins: origins(t, app), Credentials: true}, request("GET", "Origin", app), 299,
			map[string]string{"Access-Control-Allow-Origin": app, "Access-Control-Allow-Credentials": "true"}},
		"other page": {cors.Policy{Origins: origins(t, app), Credentials: true}, request("GET", "Origin", other, "Sec-Fetch-Site", "cross-site"), 403,
			map[string]string{"Vary": "Origin", "Access-Control-Allow-Origin": "", "Access-Control-Allow-Credentials": ""}},
		"other page, old browser": {cors.Policy{Origins: origins(t, app)}, request("POST", "Origin", other), 403, nil},
		"other page, null":        {cors.Policy{Origins: origins(t, app)}, request("GET", "Origin", "null"), 403, nil},
		"own page":                {cors.Policy{Origins: origins(t, app)}, request("POST", "Origin", "https://hub.example.com"), 299, map[string]string{"Access-Control-Allow-Origin": ""}},
		"own page behind a proxy": {cors.Policy{}, request("POST", "Origin", "https://public.example.com", "Sec-Fetch-Site", "same-origin"), 299, nil},
		"other site of own host":  {cors.Policy{}, request("POST", "Origin", "https://hub.example.com", "Sec-Fetch-Site", "same-site"), 403, nil},
		"all":                     {cors.Policy{Origins: origins(t, "*")}, request("GET", "Origin", other), 299, map[string]string{"Vary": "", "Access-Control-Allow-Origin": "*"}},
		"preflight": {cors.Policy{Origins: origins(t, app), MaxAge: time.Hour}, request("OPTIONS", "Origin", app, "Access-Control-Request-Method", "POST"), 204,
			map[string]string{"Access-Control-Allow-Origin": app, "Access-Control-Max-Age": "3600", "Access-Control-Allow-Methods": "GET, HEAD, POST, DELETE",
				"Access-Control-Allow-Headers": "Authorization, Cache-Control, Content-Type, Idempotency-Key, Last-Event-ID"}},
		"preflight of another": {cors.Policy{Origins: origins(t, app)}, request("OPTIONS", "Origin", other, "Access-Control-Request-Method", "POST"), 403,
			map[string]string{"Access-Control-Allow-Methods": ""}},
		"OPTIONS, no preflight": {cors.Policy{Origins: origins(t, app)}, request("OPTIONS", "Origin", app), 299, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := cors.Handler(tc.policy, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(299) }))
			require.NoError(t, err)
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, tc.request)
			require.Equal(t, tc.status, rec.Code)
			for name, value := range tc.want {
				require.Equal(t, value, rec.Header().Get(name), name)
			}
		})
	}
	_, err := cors.Handler(cors.Policy{Origins: origins(t, "*"), Credentials: true}, nil)
	require.ErrorContains(t, err, "credentials")
}

// FuzzAllows: whatever an Origin header says, it is allowed below a domain only if a browser that sends it is at a host below that domain.
func FuzzAllows(f *testing.F) {
	for _, s := range []string{"https://a.example.com", "https://example.com", "https://evil.org/.example.com", "https://a@b.example.com", "https://a:1.example.com"} {
		f.Add(s)
	}
	o, err := cors.ParseOrigins("https://*.example.com")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		if !o.Allows(origin) {
			return
		}
		r, err := http.NewRequest("GET", origin, nil)
		require.NoError(t, err)
		require.Equal(t, "https", r.URL.Scheme)
		require.Empty(t, r.URL.Port()+r.URL.Path)
		require.True(t, strings.HasSuffix(r.URL.Hostname(), ".example.com"))
		require.Nil(t, r.URL.User)
	})
}
