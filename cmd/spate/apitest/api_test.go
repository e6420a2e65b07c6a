package apitest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/stretchr/testify/require"
)

// exchange is a request and the status that it must get.
type exchange struct {
	method, target string
	status         int
	header         string // one, as "Name: value"
	body           string // JSON, but for the cases of 415
	bad            bool   // the request breaks the document on purpose
}

// prover sends requests and holds both sides to the document.
type prover struct {
	t     *testing.T
	base  string
	v     validator.Validator
	model *v3.Document
	seen  map[string]bool // "METHOD /path status"
	sent  sent
}

func newProver(t *testing.T, base string) *prover {
	t.Helper()
	res, err := http.Get(base + "/openapi.json")
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	doc, err := libopenapi.NewDocument(text)
	require.NoError(t, err)
	v, errs := validator.NewValidator(doc)
	require.Empty(t, errs)
	valid, wrong := v.ValidateDocument()
	require.True(t, valid, "%v", wrong)
	model, err := doc.BuildV3Model()
	require.NoError(t, err)
	require.Equal(t, "3.1.0", model.Model.Version)
	return &prover{t, base, v, &model.Model, map[string]bool{}, sent{}}
}

// path is the path of the document that the target belongs to.
func (p *prover) path(target string) string {
	path, _, _ := strings.Cut(target, "?")
	parts := strings.Split(path, "/")
	for name := range p.model.Paths.PathItems.KeysFromOldest() {
		fits := func(part, want string) bool { return part == want || strings.HasPrefix(want, "{") }
		if slices.EqualFunc(parts, strings.Split(name, "/"), fits) {
			return name
		}
	}
	return ""
}

func (p *prover) request(e exchange) *http.Request {
	r, err := http.NewRequest(e.method, p.base+e.target, strings.NewReader(e.body))
	require.NoError(p.t, err)
	if e.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if name, value, ok := strings.Cut(e.header, ": "); ok {
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	return r
}

// prove makes one exchange and returns the answer's body.
func (p *prover) prove(e exchange) []byte {
	p.t.Helper()
	what := fmt.Sprintf("%s %s %s %.200s", e.method, e.target, e.header, e.body)
	if !e.bad {
		ok, wrong := p.v.ValidateHttpRequestSync(p.request(e))
		require.True(p.t, ok, "%s: the request: %+v", what, wrong)
	}
	res, err := http.DefaultClient.Do(p.request(e))
	require.NoError(p.t, err, what)
	defer res.Body.Close()
	p.sent.note(res)
	body := p.read(res)
	require.Equal(p.t, e.status, res.StatusCode, "%s: %s", what, body)
	res.Body = io.NopCloser(bytes.NewReader(body))
	ok, wrong := p.v.ValidateHttpResponse(p.request(e), res)
	require.True(p.t, ok, "%s: the answer %s: %+v", what, body, wrong)
	op := p.operation(e)
	answer := op.Responses.Codes.GetOrZero(fmt.Sprint(e.status))
	require.NotNil(p.t, answer, "%s: status %d is not in the document", what, e.status)
	kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	if answer.Content != nil && answer.Content.Len() > 0 {
		require.NotNil(p.t, answer.Content.GetOrZero(kind), "%s: the type %q is not in the document", what, kind)
	}
	if answer.Headers != nil {
		for name, h := range answer.Headers.FromOldest() {
			if h.Required {
				require.NotEmpty(p.t, res.Header.Get(name), "%s: header %s", what, name)
			}
		}
	}
	p.seen[fmt.Sprintf("%s %s %d", e.method, p.path(e.target), e.status)] = true
	return body
}

// read reads a body; of a stream, its beginning.
func (p *prover) read(res *http.Response) []byte {
	if res.Header.Get("Content-Type") == "text/event-stream" {
		first := make([]byte, len(": spate\n"))
		_, err := io.ReadFull(res.Body, first)
		require.NoError(p.t, err)
		return first
	}
	body, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	return body
}

func (p *prover) operation(e exchange) *v3.Operation {
	item := p.model.Paths.PathItems.GetOrZero(p.path(e.target))
	require.NotNil(p.t, item, "%s is not in the document", e.target)
	op := item.GetOperations().GetOrZero(strings.ToLower(e.method))
	require.NotNil(p.t, op, "%s %s is not in the document", e.method, e.target)
	return op
}

const hello = `{"events":[{"data":"hello"}]}`

// TestTheDocumentHolds: every operation of the document, with each of its parameters,
// bodies and statuses, against the running hub. What the hub answers otherwise than
// the document says fails, and so does what the document says and no exchange shows.
func TestTheDocumentHolds(t *testing.T) {
	backups := t.TempDir()
	base := startHub(t, "--data", t.TempDir()+"/data", "--backup-dir", backups, "--presence-topic", "presence",
		"--retain-topic", "prices=count:10", "--idempotency-keys", "3")
	p := newProver(t, base)

	watch := p.open("/events?topic=presence&last_event_id=earliest", "")
	watch.await("event reset")
	tom := p.open("/events?uid=tom&topic=presence", "")
	watch.await("event join")
	p.pushes()
	p.reads()
	p.open("/events?last_event_id=7", "").await("event gap")
	p.ends()
	tom.await("event disconnect reconnect")
	watch.await("event leave")
	for _, e := range []exchange{
		{method: "POST", target: "/backup?name=one", status: 200},
		{method: "POST", target: "/backup?name=one", status: 409},
		{method: "POST", target: "/backup?name=..", status: 400, bad: true},
		{method: "POST", target: "/backup", body: `{"name":"two"}`, status: 400, bad: true},
	} {
		p.prove(e)
	}
	p.everywhere()
	p.options()
	p.drained()
	watch.await("event disconnect closed")
	p.without()
	p.guarded()
	p.limited()
	p.keyless()
	p.crossOrigin()
	p.malformed()
	p.complete()
	p.table()
}

func (p *prover) pushes() {
	full := `{"uids":["tom"],"events":[{"event":"order","topic":"a.b","key":"k","data":{"n":1}},{"data":"e","ephemeral":true},{"data":[1]},{"data":1.5},{"data":true}]}`
	for _, e := range []exchange{
		{method: "POST", target: "/push", status: 200, body: hello},
		{method: "POST", target: "/push", status: 200, body: full},
		{method: "POST", target: "/push", status: 200, body: full, header: "Idempotency-Key: a"},
		{method: "POST", target: "/push", status: 200, body: full, header: "Idempotency-Key: a"},
		{method: "POST", target: "/push", status: 422, body: hello, header: "Idempotency-Key: a"},
		{method: "POST", target: "/push", status: 200, body: hello, header: `Idempotency-Key: "b"`},
		{method: "POST", target: "/push", status: 429, body: hello, header: "Idempotency-Key: c"},
		{method: "POST", target: "/push", status: 400, body: hello, header: "Idempotency-Key: d e", bad: true},
		{method: "POST", target: "/push", status: 400, body: `{"events":[]}`, bad: true},
		{method: "POST", target: "/push", status: 400, body: `{"uids":[],"events":[{"data":"x"}]}`, bad: true},
		{method: "POST", target: "/push", status: 400, body: `{"events":[{"data":"x","topic":"presence"}]}`},
		{method: "POST", target: "/push", status: 400, body: `{"events":[{"data":"x","id":"7"}]}`, bad: true},
		{method: "POST", target: "/push?uid=tom", status: 400, body: hello, bad: true},
		{method: "POST", target: "/push", status: 415, body: hello, header: "Content-Type: text/plain", bad: true},
		{method: "POST", target: "/push", status: 413, body: `{"events":[{"data":"` + strings.Repeat("x", 8<<20) + `"}]}`},
	} {
		p.prove(e)
	}
}

func (p *prover) reads() {
	var page struct{ Next string }
	require.NoError(p.t, json.Unmarshal(p.prove(exchange{method: "GET", target: "/history?limit=1&topic=a.*&topic=presence&uid=tom", status: 200}), &page))
	for _, e := range []exchange{
		{method: "GET", target: "/history?after=" + page.Next, status: 200},
		{method: "GET", target: "/history?after=1", status: 200}, // never issued: a gap
		{method: "GET", target: "/history?after=earliest", status: 200},
		{method: "GET", target: "/history?after=x", status: 400, bad: true},
		{method: "GET", target: "/history?limit=1001", status: 400, bad: true},
		{method: "GET", target: "/history?topics=a", status: 400, bad: true},
		{method: "GET", target: "/history?since=15m", status: 200},
		{method: "GET", target: "/history?since=soon", status: 400},
		{method: "GET", target: "/history?since=15m&after=7", status: 400},
		{method: "GET", target: "/overview", status: 200},
		{method: "GET", target: "/overview?after=1&step=60", status: 200},
		{method: "GET", target: "/overview?step=0", status: 400, bad: true},
		{method: "GET", target: "/overview?after=x", status: 400, bad: true},
		{method: "GET", target: "/overview?uid=tom", status: 400, bad: true},
		{method: "GET", target: "/settings", status: 200},
		{method: "GET", target: "/settings?x=1", status: 400, bad: true},
		{method: "GET", target: "/grant", status: 200},
		{method: "GET", target: "/grant?x=1", status: 400, bad: true},
		{method: "GET", target: "/topics", status: 200},
		{method: "GET", target: "/topics?match=a.*&limit=1&cursor=a", status: 200},
		{method: "GET", target: "/topics?match=a.>.b", status: 400},
		{method: "GET", target: "/topics?limit=1001", status: 400, bad: true},
		{method: "GET", target: "/audience", status: 200},
		{method: "GET", target: "/audience?topic=a.b&user=tom&user=ann", status: 200},
		{method: "GET", target: "/audience?topic=a.*", status: 400},
		{method: "GET", target: "/audience?topic=", status: 400, bad: true},
		{method: "GET", target: "/stats?x=1", status: 400, bad: true},
		{method: "GET", target: "/cluster?x=1", status: 400, bad: true},
		{method: "GET", target: "/openapi.json?x=1", status: 400, bad: true},
		{method: "GET", target: "/users", status: 200},
		{method: "GET", target: "/users?limit=0", status: 400, bad: true},
		{method: "GET", target: "/users/tom", status: 200},
		{method: "GET", target: "/users/%E2%82%AC%20x", status: 200},
		{method: "GET", target: "/users/a%00b", status: 400},
		{method: "GET", target: "/connections?uid=tom&limit=1", status: 200},
		{method: "GET", target: "/connections?topic=a&state=live&address=127.0.0.1", status: 200},
		{method: "GET", target: "/connections?state=gone", status: 400, bad: true},
		{method: "GET", target: "/connections?topic=a.*", status: 400},
		{method: "GET", target: "/connections?cursor=0-0", status: 200},
		{method: "GET", target: "/connections?cursor=77-0", status: 400},
		{method: "GET", target: "/stats", status: 200},
		{method: "GET", target: "/cluster", status: 200},
		{method: "GET", target: "/metrics", status: 200},
		{method: "GET", target: "/metrics?x=1", status: 400, bad: true},
		{method: "GET", target: "/healthz", status: 200},
		{method: "GET", target: "/readyz", status: 200},
		{method: "GET", target: "/openapi.json", status: 200},
		{method: "GET", target: "/", status: 200},
		{method: "GET", target: "/ui/main.js", status: 200},
		{method: "GET", target: "/ui/nothing.js", status: 404},
		{method: "GET", target: "/events?uid=tom&topic=a&topic=b.*&on_gap=tell&conflate=true&may_wait=true", status: 200},
		{method: "GET", target: "/events?since=15m", status: 200},
		{method: "GET", target: "/events?last_event_id=" + page.Next, status: 200},
		{method: "GET", target: "/events", header: "Last-Event-ID: 7", status: 200},
		{method: "GET", target: "/events?last_event_id=7&on_gap=refuse", status: 409},
		{method: "GET", target: "/events?topics=a", status: 400, bad: true},
		{method: "GET", target: "/events", body: strings.Repeat("x", 65<<10), status: 413, bad: true},
	} {
		p.prove(e)
	}
	for _, target := range []string{"/", "/ui/main.js"} {
		res, err := http.Get(p.base + target)
		require.NoError(p.t, err)
		res.Body.Close()
		p.prove(exchange{method: "GET", target: target, header: "If-None-Match: " + res.Header.Get("ETag"), status: 304})
	}
}

func (p *prover) ends() {
	var list struct{ Connections []struct{ ID string } }
	require.Eventually(p.t, func() bool {
		require.NoError(p.t, json.Unmarshal(p.prove(exchange{method: "GET", target: "/connections?uid=tom", status: 200}), &list))
		return len(list.Connections) > 0
	}, 10*time.Second, 10*time.Millisecond)
	id := list.Connections[len(list.Connections)-1].ID
	for _, e := range []exchange{
		{method: "DELETE", target: "/connections/" + id, status: 200},
		{method: "DELETE", target: "/connections/" + id, status: 404},
		{method: "DELETE", target: "/connections/7", status: 400, bad: true},
		{method: "DELETE", target: "/users/tom", status: 200},
		{method: "DELETE", target: "/users/tom?force=1", status: 400, bad: true},
		{method: "DELETE", target: "/users/tom", body: `{"force":true}`, status: 400, bad: true},
	} {
		p.prove(e)
	}
}

// sample is a target of each path.
var sample = map[string]string{"/ui/{file}": "/ui/main.js", "/users/{uid}": "/users/tom", "/connections/{id}": "/connections/0000000000000007"}

// everywhere proves what each route has: a foreign Host, and a page of another site.
func (p *prover) everywhere() {
	for path, item := range p.model.Paths.PathItems.FromOldest() {
		target := path
		if s, ok := sample[path]; ok {
			target = s
		}
		for method := range item.GetOperations().KeysFromOldest() {
			method = strings.ToUpper(method)
			p.prove(exchange{method: method, target: target, header: "Host: evil.example", status: 421, bad: true})
			switch {
			case method != "GET":
				p.prove(exchange{method: method, target: target, header: "Sec-Fetch-Site: cross-site", status: 403, bad: true})
			case path == "/events":
				p.prove(exchange{method: method, target: target, header: "Sec-Fetch-Site: cross-site", status: 403, bad: true})
			}
		}
	}
}

// options are the answers that are no operation's.
func (p *prover) options() {
	for _, c := range []struct {
		method, target, header string
		status                 int
	}{
		{"OPTIONS", "/push", "", 204}, {"PUT", "/push", "", 405}, {"POST", "/users", "", 405},
		{"GET", "/nowhere", "", 404}, {"GET", "//stats", "", 404}, {"GET", "/ui", "", 404}, {"HEAD", "/events", "", 200},
	} {
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		res, err := client.Do(p.request(exchange{method: c.method, target: c.target, header: c.header}))
		require.NoError(p.t, err)
		res.Body.Close()
		require.Equal(p.t, c.status, res.StatusCode, "%s %s", c.method, c.target)
		p.sent.note(res)
	}
}

func (p *prover) drained() {
	p.prove(exchange{method: "POST", target: "/drain?x=1", status: 400, bad: true})
	p.prove(exchange{method: "POST", target: "/drain", body: `{"spread":"1m"}`, status: 400, bad: true})
	p.prove(exchange{method: "POST", target: "/drain", status: 202})
	p.prove(exchange{method: "POST", target: "/drain", status: 202})
	p.prove(exchange{method: "GET", target: "/readyz", status: 503})
	require.Eventually(p.t, func() bool {
		res, err := http.Get(p.base + "/events")
		require.NoError(p.t, err)
		res.Body.Close()
		return res.StatusCode == 503
	}, 10*time.Second, 10*time.Millisecond)
	p.prove(exchange{method: "GET", target: "/events", status: 503})
	p.prove(exchange{method: "POST", target: "/push", status: 200, body: hello})
}

// without proves what needs another set-up.
func (p *prover) without() {
	base := p.base
	p.base = startHub(p.t, "--memory")
	p.prove(exchange{method: "POST", target: "/push", status: 200, body: hello})
	require.Equal(p.t, 404, status(p.t, "POST", p.base+"/backup"))
	p.seen["POST /backup 404"] = true
	p.base = base
}

// guarded proves what needs credentials.
func (p *prover) guarded() {
	const token, reader = "spate_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG", "spate_reader6789abcdefghijklmnopqrstuvwxyzABCDEFG"
	tokens := filepath.Join(p.t.TempDir(), "tokens.json")
	require.NoError(p.t, os.WriteFile(tokens, fmt.Appendf(nil, `{"tokens":[{"hash":"sha256:%x","id":"a","user":"ops","admin":true,"read":[">"]},{"hash":"sha256:%x","id":"b","user":"tom","read":["a"]}]}`,
		sha256.Sum256([]byte(token)), sha256.Sum256([]byte(reader))), 0o600))
	base := p.base
	p.base = startHub(p.t, "--data", p.t.TempDir()+"/data", "--backup-dir", p.t.TempDir(), "--token-file", tokens)
	for path, item := range p.model.Paths.PathItems.FromOldest() {
		target := path
		if s, ok := sample[path]; ok {
			target = s
		}
		for method, op := range item.GetOperations().FromOldest() {
			method = strings.ToUpper(method)
			if op.Responses.Codes.GetOrZero("401") == nil {
				continue
			}
			p.prove(exchange{method: method, target: target, status: 401, bad: true})
			p.prove(exchange{method: method, target: target, status: 401, header: "Authorization: Bearer nonsense", bad: true})
			switch path {
			case "/", "/ui/{file}", "/grant", "/events", "/history", "/openapi.json", "/push", "/tickets", "/users/{uid}":
			default:
				p.prove(exchange{method: method, target: target, status: 403, header: "Authorization: Bearer " + reader, bad: true})
			}
		}
	}
	as := "Authorization: Bearer " + reader
	mine := p.open("/events?topic=a", as)
	for _, e := range []exchange{
		{method: "POST", target: "/tickets", status: 200, header: as},
		{method: "POST", target: "/tickets?user=ops", status: 400, header: as, bad: true},
		{method: "POST", target: "/tickets", status: 400, header: as, body: `{"ttl":60}`, bad: true},
		{method: "GET", target: "/openapi.json", status: 200, header: as},
		{method: "GET", target: "/grant", status: 200, header: as},
		{method: "GET", target: "/", status: 200, header: as},
		{method: "GET", target: "/events?topic=a", status: 200, header: as},
		{method: "GET", target: "/events?topic=b", status: 403, header: as},
		{method: "GET", target: "/history?topic=a", status: 200, header: as},
		{method: "GET", target: "/history?topic=b", status: 403, header: as},
		{method: "GET", target: "/history?uid=ops", status: 403, header: as},
		{method: "GET", target: "/users/tom", status: 200, header: as},
		{method: "GET", target: "/users/ops", status: 403, header: as},
		{method: "DELETE", target: "/users/tom", status: 403, header: as},
		{method: "POST", target: "/push", status: 403, header: as, body: hello},
		{method: "GET", target: "/history?uid=tom", status: 200, header: "Authorization: Bearer " + token},
		{method: "DELETE", target: "/users/tom", status: 200, header: "Authorization: Bearer " + token},
		{method: "GET", target: "/history?topic=a", status: 403, header: as}, // revoked
	} {
		p.prove(e)
	}
	mine.await("event disconnect revoked")
	p.base = base
}

// each calls f for every operation that asks for credentials.
func (p *prover) each(f func(method, target string)) {
	for path, item := range p.model.Paths.PathItems.FromOldest() {
		target := path
		if s, ok := sample[path]; ok {
			target = s
		}
		for method, op := range item.GetOperations().FromOldest() {
			if op.Responses.Codes.GetOrZero("401") != nil {
				f(strings.ToUpper(method), target)
			}
		}
	}
}

// limited proves that bounds hold on every route, and that each says when to come back.
func (p *prover) limited() {
	tokens := filepath.Join(p.t.TempDir(), "tokens.json")
	require.NoError(p.t, os.WriteFile(tokens, []byte(`{"tokens":[]}`), 0o600))
	base := p.base
	p.base = startHub(p.t, "--data", p.t.TempDir()+"/data", "--backup-dir", p.t.TempDir(), "--token-file", tokens, "--max-requests-address", "0.001:1")
	require.Equal(p.t, 401, status(p.t, "GET", p.base+"/stats"), "the one that is free")
	p.each(func(method, target string) {
		p.prove(exchange{method: method, target: target, status: 429, bad: true})
	})
	p.base = base
}

// keyless proves what is told while the keys of JWTs cannot be had.
func (p *prover) keyless() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(p.t, err)
	require.NoError(p.t, l.Close()) // nobody is there
	base := p.base
	p.base = startHub(p.t, "--data", p.t.TempDir()+"/data", "--backup-dir", p.t.TempDir(), "--jwt-jwks-url", "http://"+l.Addr().String()+"/keys")
	b64 := base64.RawURLEncoding.EncodeToString
	token := b64([]byte(`{"alg":"ES256","kid":"k"}`)) + "." + b64([]byte(`{"sub":"tom","exp":4000000000}`)) + "." + b64(make([]byte, 64))
	p.each(func(method, target string) {
		p.prove(exchange{method: method, target: target, status: 503, header: "Authorization: Bearer " + token, bad: true})
	})
	p.base = base
}

// crossOrigin shows what pages of other origins are told.
func (p *prover) crossOrigin() {
	base := startHub(p.t, "--memory", "--cors-origin", "https://app.example.com", "--cors-credentials", "--compress")
	for _, c := range []struct {
		method, origin, header string
		status                 int
	}{
		{"OPTIONS", "https://app.example.com", "Access-Control-Request-Method: POST", 204},
		{"GET", "https://app.example.com", "", 200},
		{"GET", "https://evil.example", "", 403},
		{"GET", "null", "", 403},
		{"GET", "", "Accept-Encoding: identity;q=0", 406},
	} {
		r, err := http.NewRequest(c.method, base+"/events", nil)
		require.NoError(p.t, err)
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if name, value, ok := strings.Cut(c.header, ": "); ok {
			r.Header.Set(name, value)
		}
		res, err := http.DefaultClient.Do(r)
		require.NoError(p.t, err)
		res.Body.Close()
		require.Equal(p.t, c.status, res.StatusCode, "%v", c)
		require.Equal(p.t, c.status < 300, res.Header.Get("Access-Control-Allow-Origin") != "", "%v", c)
		p.sent.note(res)
	}
	same := p.base
	p.base = base
	p.prove(exchange{method: "GET", target: "/events", status: 406, header: "Accept-Encoding: identity;q=0"})
	p.base = same
}

// malformed shows what is answered to what is no request, or none that can be taken: before any route is looked for, in plain
// text, and the connection ends.
func (p *prover) malformed() {
	const host = " HTTP/1.1\r\nHost: localhost\r\n"
	for request, status := range map[string]int{
		"GET /events HTTP/1.1\r\n\r\n":                                           400,
		"GET /%zz" + host + "\r\n":                                               400,
		"POST /push" + host + "Expect: more\r\nContent-Length: 1\r\n\r\nx":       417,
		"GET /events" + host + "X: " + strings.Repeat("x", 400<<10) + "\r\n\r\n": 431,
		"POST /push" + host + "Transfer-Encoding: gzip\r\n\r\n":                  501,
		"GET /events HTTP/3.0\r\nHost: localhost\r\n\r\n":                        505,
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
		require.NoError(p.t, err)
		go func() { _, _ = io.WriteString(conn, request) }() // the hub may read no more of it than it should
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(p.t, err, "%.40q", request)
		require.Equal(p.t, status, res.StatusCode, "%.40q", request)
		require.True(p.t, res.Close, "%.40q", request)
		p.sent.note(res)
		conn.Close()
	}
}

func status(t *testing.T, method, url string) int {
	r, err := http.NewRequest(method, url, nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	res.Body.Close()
	return res.StatusCode
}

// elsewhere is why a status of the document, of all operations or of one, is not shown here.
var elsewhere = map[string]string{
	"403": "of what everybody may read",
	"408": "takes 10 s or more: serve/stream.TestBodyThatDoesNotArrive", "500": "needs a fault",
	"507":              "needs a full disk",
	"GET /healthz 503": "needs a hub that closes: cmd/spate.TestHealthTellsStrangersNoReasons",
}

// complete requires that every status of every operation was shown, or is said to be
// shown elsewhere.
func (p *prover) complete() {
	shown := 0
	for path, item := range p.model.Paths.PathItems.FromOldest() {
		for method, op := range item.GetOperations().FromOldest() {
			for code := range op.Responses.Codes.KeysFromOldest() {
				key := strings.ToUpper(method) + " " + path + " " + code
				if p.seen[key] {
					shown++
					continue
				}
				require.NotEmpty(p.t, elsewhere[code]+elsewhere[key], "%s is in the document, and no exchange shows it", key)
			}
		}
	}
	p.t.Logf("%d statuses of %d operations shown", shown, p.model.Paths.PathItems.Len())
}

// TestEveryRouteIsInTheDocument looks for routes in the sources.
func TestEveryRouteIsInTheDocument(t *testing.T) {
	text, err := os.ReadFile("../internal/openapi/openapi.json")
	require.NoError(t, err)
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal(text, &doc))
	found := 0
	for _, pattern := range routesOf(t, "../../../cmd/spate", "../../../serve/api") {
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.TrimSuffix(path, "{$}")
		if path == "/ui/" {
			path = "/ui/{file}"
		}
		require.Contains(t, doc.Paths, path, "the route %s", pattern)
		require.Contains(t, doc.Paths[path], strings.ToLower(method), "the route %s", pattern)
		found++
	}
	operations := 0
	for _, item := range doc.Paths {
		operations += len(item)
	}
	require.Equal(t, operations, found, "operations of the document that no route is for")
}
