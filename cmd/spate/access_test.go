package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/auth"
)

const jwtSecret = "a secret of thirty-two bytes, or so"

// signed makes a JWT of tom's with these rights; change has pairs of claims, nil taking one away.
func signed(t *testing.T, rights string, change ...any) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": "tom", "exp": time.Now().Add(time.Hour).Unix(), "spate": json.RawMessage(rights)}
	for i := 0; i < len(change); i += 2 {
		if claims[change[i].(string)] = change[i+1]; change[i+1] == nil {
			delete(claims, change[i].(string))
		}
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(jwtSecret))
	require.NoError(t, err)
	return text
}

// secretFile is a file for --jwt-secret-file.
func secretFile(t *testing.T) string { return written(t, "secret", jwtSecret+"\n") }

// written makes a file in a folder of its own.
func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// tokenFile is a file for --token-file with one token, which it returns too.
func tokenFile(t *testing.T, rights string) (path, token string) {
	t.Helper()
	token, hash := auth.NewToken()
	return written(t, "tokens.json", `{"tokens":[{"hash":"`+hash+`","id":"ops","user":"ops",`+rights+`}]}`), token
}

// as is the header with credentials.
func as(token string) []string { return []string{"Authorization", "Bearer " + token} }

// routesInSource are the patterns that this program, and the packages that it takes routes from, give to the mux: what
// looks like one in their sources.
func routesInSource(t *testing.T) (patterns []string) {
	t.Helper()
	form := regexp.MustCompile(`^(GET|HEAD|POST|PUT|PATCH|DELETE) (/[^ ]*)$`)
	for _, root := range []string{".", "../../serve"} {
		require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "browsertest") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			require.NoError(t, err)
			ast.Inspect(file, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				if text, err := strconv.Unquote(lit.Value); err == nil && form.MatchString(text) {
					patterns = append(patterns, text)
				}
				return true
			})
			return nil
		}))
	}
	require.Contains(t, patterns, "GET /events")
	require.Contains(t, patterns, "POST /push")
	require.Contains(t, patterns, "GET /stats")
	return patterns
}

// A stranger without credentials, or with bad ones, can read nothing, push nothing, and learn nothing but the hub's name:
// over every route that there is and every method, and where there is none. Health tells whether it is well, and no
// more.
func TestAStrangerLearnsNothing(t *testing.T) {
	dir := t.TempDir()
	tokens, _ := tokenFile(t, `"read":[">"],"admin":true`)
	s := startServe(t, "--data", filepath.Join(dir, "data"), "--backup-dir", filepath.Join(dir, "backups"), "--demo",
		"--jwt-secret-file", secretFile(t), "--token-file", tokens, "--token-query", "access_token", "--token-cookie", "session")
	inPath := regexp.MustCompile(`\{[^}]*\}`)
	paths := map[string]bool{"/nowhere": true, "/ui/": true, "/ui/main.js": true, "/push/": true, "//stats": true, "/ui": true, "/ui/../backup": true, "/debug/pprof/": true}
	for _, pattern := range routesInSource(t) {
		_, path, _ := strings.Cut(pattern, " ")
		paths[inPath.ReplaceAllStringFunc(path, func(name string) string {
			if name == "{$}" {
				return ""
			}
			return "x"
		})] = true
	}
	expired := signed(t, `{"admin":true,"read":[">"]}`, "exp", time.Now().Add(-time.Minute).Unix())
	strangers := map[string][]string{
		"nothing": nil, "a token that is none": as("secret"), "an expired JWT": as(expired),
		"a JWT of another key": as(expired[:len(expired)-4] + "AAAA"),
		"a password":           {"Authorization", "Basic " + "b3BzOnNlY3JldA=="},
		"a cookie":             {"Cookie", "session=" + expired, "Sec-Fetch-Site", "same-origin"},
		"a user's name":        {"X-Spate-User", "ops"},
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	for path := range paths {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			for who, header := range strangers {
				for _, query := range []string{"", "?uid=ops", "?access_token=secret", "?ticket=" + strings.Repeat("A", 43)} {
					if query != "" && (who != "nothing" || method != "GET") {
						continue
					}
					status, text, got := ask(t, client, method, s.base+path+query, header)
					if path == "/healthz" || path == "/readyz" {
						if method == "GET" {
							require.Equal(t, 200, status, path)
							require.JSONEq(t, `{"status":"ok"}`, text)
						}
						continue
					}
					about := method + " " + path + query + " with " + who + ": " + text
					if path == "/push" && query != "" || method == "OPTIONS" && status == 404 {
						require.GreaterOrEqual(t, status, 400, about)
					} else {
						require.Contains(t, []int{401, 405}, status, about)
					}
					require.NotContains(t, strings.ToLower(text), "topic", about)
					for _, word := range []string{"version", "position", "ops", "cpu", "spate_", "devel"} {
						require.NotContains(t, text, word, about)
					}
					for name := range got {
						require.NotContains(t, []string{"Server", "X-Powered-By", "Etag", "Last-Modified"}, name, about)
					}
				}
			}
		}
	}
}

func ask(t *testing.T, client *http.Client, method, target string, header []string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, http.NoBody)
	require.NoError(t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text), res.Header
}

// Each right lets its holder do what it says and nothing else; a token may come as a bearer's, as a password, in the
// query and in a cookie of the hub's own pages.
func TestRightsAreHeld(t *testing.T) {
	tokens, ops := tokenFile(t, `"admin":true`)
	s := startServe(t, "--memory", "--jwt-secret-file", secretFile(t), "--token-file", tokens, "--token-query", "access_token",
		"--token-cookie", "session", "--anonymous", `{"read":["public.>"]}`)
	reader := signed(t, `{"read":["orders.>"]}`)
	pusher := signed(t, `{"push":{"topics":["orders.*"],"users":["ann"]}}`)
	event := func(uids, topic string) string {
		return `{` + uids + `"events":[{"data":"x","topic":"` + topic + `"}]}`
	}
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		says                     string
	}{
		{"a reader", "HEAD", "/events?topic=orders.1&uid=tom", "", as(reader), 200, ""},
		{"a reader beyond its grant", "GET", "/events?topic=orders.1&topic=stock", "", as(reader), 403, "stock"},
		{"a reader as another", "GET", "/events?uid=ann", "", as(reader), 403, "ann"},
		{"a misspelt parameter", "GET", "/events?topics=orders.1", "", as(reader), 400, "topic"},
		{"a reader that pushes", "POST", "/push", event("", "orders.1"), as(reader), 403, "orders.1"},
		{"a reader that administers", "GET", "/stats", "", as(reader), 403, "admin"},
		{"a reader's dashboard", "GET", "/", "", as(reader), 200, "<title>"},
		{"what a reader may do", "GET", "/grant", "", as(reader), 200, `"orders.`},
		{"a reader's overview", "GET", "/overview", "", as(reader), 403, "admin"},
		{"a reader's look at the settings", "GET", "/settings", "", as(reader), 403, "admin"},
		{"a pusher", "POST", "/push", event("", "orders.1"), as(pusher), 200, "ids"},
		{"a pusher beyond its grant", "POST", "/push", event("", "stock"), as(pusher), 403, "stock"},
		{"a pusher to a user", "POST", "/push", event(`"uids":["ann"],`, "orders.1"), as(pusher), 200, "ids"},
		{"a pusher to another user", "POST", "/push", event(`"uids":["ann","bob"],`, "orders.1"), as(pusher), 403, "bob"},
		{"a pusher that reads", "GET", "/events?topic=orders.1", "", as(pusher), 403, "orders.1"},
		{"an administrator", "GET", "/stats", "", as(ops), 200, "version"},
		{"an administrator with a password", "GET", "/", "", []string{"Authorization", "Basic " + basic("", ops), "Sec-Fetch-Site", "none"}, 200, "<title>"},
		{"its page", "GET", "/stats", "", []string{"Authorization", "Basic " + basic("me", ops), "Sec-Fetch-Site", "same-origin"}, 200, "version"},
		{"its password and another's page", "POST", "/tickets", "", []string{"Authorization", "Basic " + basic("", ops), "Origin", "https://evil.example"}, 403, "origin"},
		{"an administrator that pushes", "POST", "/push", event("", "orders.1"), as(ops), 403, "orders.1"},
		{"a cookie", "GET", "/stats", "", []string{"Cookie", "session=" + ops, "Sec-Fetch-Site", "same-origin"}, 200, "version"},
		{"a cookie of no page", "GET", "/stats", "", []string{"Cookie", "session=" + ops}, 403, "allowed origin"},
		{"a cookie of another page", "GET", "/stats", "", []string{"Cookie", "session=" + ops, "Origin", "https://evil.example"}, 403, "origin"},
		{"a token in the query", "GET", "/stats?access_token=" + ops, "", nil, 200, "version"},
		{"two tokens", "GET", "/stats?access_token=" + ops, "", as(reader), 400, "once"},
		{"a token, and what no route takes", "GET", "/settings?access_token=" + ops + "&given=1", "", nil, 400, "given"},
		{"nobody", "HEAD", "/events?topic=public.a", "", nil, 200, ""},
		{"nobody beyond its grant", "GET", "/events?topic=orders.1", "", nil, 403, "orders.1"},
		{"nobody that administers", "GET", "/metrics", "", nil, 401, "credentials"},
		{"nobody that wants a ticket", "POST", "/tickets", "", nil, 401, "credentials"},
		{"a bad token, which is not nobody", "GET", "/events?topic=public.a", "", as("nonsense"), 401, "not valid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := c.header
			if c.body != "" {
				header = append([]string{"Content-Type", asJSON}, header...)
			}
			status, text := s.do(c.method, c.path, c.body, header...)
			require.Equal(t, c.status, status, text)
			require.Contains(t, text, c.says)
		})
	}
}

func basic(user, password string) string {
	r, _ := http.NewRequest("GET", "/", nil)
	r.SetBasicAuth(user, password)
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
}

// A ticket opens one stream with the rights of who asked for it, once, and nothing but a stream.
func TestTicketsOpenOneStream(t *testing.T) {
	s := startServe(t, "--memory", "--jwt-secret-file", secretFile(t))
	status, text := s.do("POST", "/tickets", "", as(signed(t, `{"read":["a"],"push":{"everyone":true},"admin":true}`))...)
	require.Equal(t, 200, status, text)
	var given struct{ Ticket string }
	require.NoError(t, json.Unmarshal([]byte(text), &given))
	status, _ = s.get("/stats?ticket=" + given.Ticket)
	require.Equal(t, 401, status)
	status, _ = s.do("POST", "/push?ticket="+given.Ticket, `{"events":[{"data":"x"}]}`, "Content-Type", asJSON)
	require.Equal(t, 400, status)
	status, _ = s.do("POST", "/tickets?ticket="+given.Ticket, "")
	require.Equal(t, 401, status, "no ticket for a ticket")
	status, text = s.do("HEAD", "/events?topic=a&ticket="+given.Ticket, "")
	require.Equal(t, 200, status, text)
	status, text = s.get("/events?topic=a&ticket=" + given.Ticket)
	require.Equal(t, 401, status)
	require.Contains(t, text, "was used")
	status, _ = startServe(t, "--memory", "--jwt-secret-file", secretFile(t), "--ticket-ttl", "0").do("POST", "/tickets", "", as(signed(t, `{}`))...)
	require.Equal(t, 404, status)
}

// Where credentials are asked for, strangers are not told why the hub is not well.
func TestHealthTellsStrangersNoReasons(t *testing.T) {
	hub := engine.NewHub(engine.WithLogger(slog.New(slog.DiscardHandler)))
	hub.Close()
	why := hub.Healthy()
	require.Error(t, why)
	for _, quiet := range []bool{false, true} {
		drain := newDrainer(t.Context(), drainConfig{}, hub, io.Discard)
		drain.quiet = quiet
		for name, h := range map[string]http.HandlerFunc{"healthz": (&statsSource{hub: hub, quiet: quiet}).serveHealth, "readyz": drain.serveReady} {
			rec := httptest.NewRecorder()
			h(rec, httptest.NewRequest("GET", "/"+name, nil))
			require.Equal(t, 503, rec.Code)
			require.Equal(t, !quiet, strings.Contains(rec.Body.String(), why.Error()), rec.Body)
		}
	}
}
