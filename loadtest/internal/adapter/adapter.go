// Package adapter knows how the various servers want to be subscribed to and
// published to. An adapter turns a stream's number into a request, and events
// into the body of a push; it does no input or output itself.
package adapter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"text/template"

	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/stamp"
)

// Stream holds what templates may use of one stream.
type Stream struct {
	N      int      // number of the stream, from 0
	User   string   // u0, u1...
	UserN  int      // the user's number
	Topic  string   // the first topic followed; "" if none
	Topics []string // t0, t1...
	All    bool     // whether events for everyone are published
	Own    bool     // whether events for single users are published
	Token  string   // from -tokens
	Run    string   // ID of the run

	Login   map[string]string // what the user's login has given, by name
	Row     config.Row        // from -data: of the user, or of the request of a finite stream
	Request uint64            // of finite streams: its number in this process, from 0
}

// Header is one request header.
type Header struct{ Name, Value string }

// Subscribe is the request that opens a stream.
type Subscribe struct {
	Method string
	URL    *url.URL
	Header []Header
	Body   []byte // nil without one
}

// Event is one event to publish.
type Event struct {
	Type  string
	Kind  stamp.Kind
	Index uint32
	Data  []byte
}

// Push is one request to publish. Its memory is used again for the next one.
type Push struct {
	URL  string // if it differs from event to event; else the adapter's PushURL counts
	Body []byte
}

// server is what differs from adapter to adapter.
type server struct {
	streamPath string // template, for a URL that names only the server
	pushPath   string
	method     string
	mime       string
	broadcast  bool // can address everyone
	users      bool // can address single users
	topics     bool
	single     bool // a stream can follow one target only
	typed      bool // events arrive with the type that they were published under
	batch      bool // takes several events in a request
	body       func(a *Adapter, p *Push, events []Event) error
	auth       func(a *Adapter, c *config.Config) error
}

// servers are the adapters by name.
var servers = map[string]server{
	"spate": {
		streamPath: "/events?uid={{.User}}{{range .Topics}}&topic={{.}}{{end}}",
		pushPath:   "/push", method: "POST", mime: "application/json",
		broadcast: true, users: true, topics: true, batch: true, typed: true, body: hubBody, auth: bearerAuth,
	},
	"sponge": {
		streamPath: "/events?uid={{.User}}",
		pushPath:   "/push", method: "POST", mime: "application/json",
		broadcast: true, users: true, batch: true, typed: true, body: hubBody, auth: bearerAuth,
	},
	"mercure": {
		streamPath: "/.well-known/mercure?{{if .All}}topic=all{{end}}{{if .Own}}&topic={{.User}}{{end}}{{range .Topics}}&topic={{.}}{{end}}",
		pushPath:   "/.well-known/mercure", method: "POST", mime: "application/x-www-form-urlencoded",
		broadcast: true, users: true, topics: true, typed: true, body: mercureBody, auth: mercureAuth,
	},
	"nchan": {
		streamPath: "/sub?id={{if .All}}all{{else if .Own}}{{.User}}{{else}}{{.Topic}}{{end}}",
		pushPath:   "/pub", method: "POST", mime: "text/plain",
		broadcast: true, users: true, topics: true, single: true, body: nchanBody, auth: bearerAuth,
	},
	"centrifugo": {
		streamPath: "/connection/uni_sse?cf_connect={{.Channels}}",
		pushPath:   "/api/batch", method: "POST", mime: "application/json",
		broadcast: true, users: true, topics: true, batch: true, body: centrifugoBody, auth: apiKeyAuth,
	},
	"template": {
		method: "POST", mime: "application/json", broadcast: true, users: true, topics: true, body: templateBody, auth: bearerAuth,
	},
	"none": {auth: func(*Adapter, *config.Config) error { return nil }},
}

// Names lists the adapters.
func Names() []string {
	return []string{"spate", "sponge", "mercure", "nchan", "centrifugo", "template", "none"}
}

// Adapter builds requests for one run. Any goroutine may use it.
type Adapter struct {
	name     string
	server   server
	cfg      *config.Config
	mix      config.Mix
	streams  []streamTemplates // by group; the last one is for those in none
	pushURL  string
	pushEach *template.Template // URL of a push where it differs from event to event
	pushBody *template.Template
	pushHead []Header
	subHead  []Header // made by the adapter
	subBody  *template.Template
	logins   sync.Map      // what each user's login has given: map[string]string by user index
	requests atomic.Uint64 // of finite streams so far; drawn from by any goroutine
}

// streamTemplates make the URL and the headers of a group's streams.
type streamTemplates struct {
	url  *template.Template
	head []headerTemplate
}

type headerTemplate struct {
	name  string
	value *template.Template
}

// New checks what the configuration asks of its adapter. c must have been
// normalized, and not change afterwards.
func New(c *config.Config) (*Adapter, error) {
	srv, ok := servers[c.Adapter]
	if !ok {
		return nil, fmt.Errorf("-adapter %q: it is one of %s", c.Adapter, strings.Join(Names(), ", "))
	}
	a := &Adapter{name: c.Adapter, server: srv, cfg: c}
	var err error
	if a.mix, err = config.ParseMix(c.To); err != nil {
		return nil, err
	}
	if err := a.checkMix(); err != nil {
		return nil, err
	}
	if c.Publish && c.Batch > 1 && !srv.batch {
		return nil, fmt.Errorf("-batch %d: the push API of -adapter %s takes one event in a request", c.Batch, a.name)
	}
	if err := a.parseStream(c); err != nil {
		return nil, err
	}
	if c.Publish {
		if err := a.parsePush(c); err != nil {
			return nil, err
		}
	}
	if err := srv.auth(a, c); err != nil {
		return nil, err
	}
	if c.Streams > 0 {
		_, err = a.Subscribe(0) // shows faults of the templates
	}
	return a, err
}

func (a *Adapter) checkMix() error {
	if !a.cfg.Publish {
		return nil
	}
	if a.cfg.Adapter == "none" {
		return errors.New("-adapter none does not publish")
	}
	if a.mix.Topics > 0 && !a.server.topics {
		return fmt.Errorf("-adapter %s has no topics: use -to broadcast or -to users", a.name)
	}
	kinds := 0
	for _, w := range []float64{a.mix.Broadcast, a.mix.Users, a.mix.Topics} {
		if w > 0 {
			kinds++
		}
	}
	if a.server.single && (kinds > 1 || a.mix.Topics > 0 && a.cfg.FollowedTopics() > 1) {
		return fmt.Errorf("with -adapter %s a stream follows one channel: publish -to broadcast, users or topics alone, with -topics-per-stream 1", a.name)
	}
	return nil
}

// parseStream reads the templates of a stream's request.
func (a *Adapter) parseStream(c *config.Config) error {
	if c.Body != "" {
		var err error
		if a.subBody, err = template.New("body").Option("missingkey=error").Funcs(bodyFuncs).Parse(c.Body); err != nil {
			return fmt.Errorf("-body: %w", err)
		}
	}
	headers := c.Header
	if c.Bearer != "" {
		headers = append(slices.Clone(headers), "Authorization: Bearer "+c.Bearer)
	}
	for _, g := range c.Groups {
		text := g.URL
		if text == "" {
			text = c.URL
		}
		t, err := a.templates(text, append(slices.Clone(headers), g.Header...))
		if err != nil {
			return fmt.Errorf("group %s: %w", g.Name, err)
		}
		a.streams = append(a.streams, t)
	}
	t, err := a.templates(c.URL, headers)
	a.streams = append(a.streams, t)
	return err
}

func (a *Adapter) templates(text string, headers []string) (t streamTemplates, err error) {
	scheme, rest, _ := strings.Cut(text, "://")
	if host, path, _ := strings.Cut(rest, "/"); path == "" && !strings.ContainsAny(rest, "?{") {
		text = scheme + "://" + host + a.server.streamPath
	}
	if t.url, err = template.New("url").Option("missingkey=error").Parse(text); err != nil {
		return t, fmt.Errorf("-url: %w", err)
	}
	for _, h := range headers {
		name, value, err := cutHeader(h)
		if err != nil {
			return t, fmt.Errorf("-header %w", err)
		}
		v, err := template.New("header").Option("missingkey=error").Parse(value)
		if err != nil {
			return t, fmt.Errorf("-header %q: %w", name, err)
		}
		t.head = append(t.head, headerTemplate{name, v})
	}
	return t, nil
}

// bodyFuncs are the functions that templates of a body have: json writes a value
// so that it can stand in JSON, a string with its quotes.
var bodyFuncs = template.FuncMap{"json": func(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}}

// Type is the type under which the run's events have to arrive; "" if the server
// does not keep it.
func (a *Adapter) Type() string {
	if a.server.typed {
		return a.cfg.EventType
	}
	return ""
}

func cutHeader(h string) (name, value string, err error) {
	name, value, ok := strings.Cut(h, ":")
	if !ok || name == "" || strings.ContainsAny(h, "\r\n") || strings.ContainsAny(name, " \t") {
		return "", "", fmt.Errorf("%q: write Name: value", h)
	}
	return name, strings.TrimSpace(value), nil
}

func (a *Adapter) parsePush(c *config.Config) error {
	a.pushURL = c.PushURL
	if a.pushURL == "" {
		if a.server.pushPath == "" || c.URL == "" {
			return fmt.Errorf("-adapter %s: say where to publish with -push-url", a.name)
		}
		scheme, rest, _ := strings.Cut(c.URL, "://")
		host := rest
		if i := strings.IndexAny(rest, "/?{"); i >= 0 {
			host = rest[:i]
		}
		a.pushURL = scheme + "://" + host + a.server.pushPath
	}
	for _, h := range c.PushHeader {
		name, value, err := cutHeader(h)
		if err != nil {
			return fmt.Errorf("-push-header %w", err)
		}
		a.pushHead = append(a.pushHead, Header{name, value})
	}
	if !slices.ContainsFunc(a.pushHead, func(h Header) bool { return strings.EqualFold(h.Name, "Content-Type") }) {
		a.pushHead = append(a.pushHead, Header{"Content-Type", a.server.mime})
	}
	if strings.Contains(a.pushURL, "{{") {
		var err error
		if a.pushEach, err = template.New("push-url").Option("missingkey=error").Parse(a.pushURL); err != nil {
			return fmt.Errorf("-push-url: %w", err)
		}
	}
	if a.name == "template" {
		if c.PushBody == "" {
			return errors.New(`-adapter template: give the body of a push, for example -push-body '{"to":"{{.Target}}","data":"{{.Data}}"}'`)
		}
		var err error
		if a.pushBody, err = template.New("push-body").Option("missingkey=error").Parse(c.PushBody); err != nil {
			return fmt.Errorf("-push-body: %w", err)
		}
	}
	return nil
}

// Subscribe builds the request of stream n, without Last-Event-ID.
func (a *Adapter) Subscribe(n int) (Subscribe, error) {
	v := a.vars(n)
	g := a.cfg.Group(n)
	if g < 0 {
		g = len(a.streams) - 1
	}
	templates := a.streams[g]
	var b bytes.Buffer
	if err := templates.url.Execute(&b, v); err != nil {
		return Subscribe{}, fmt.Errorf("-url: %w", err)
	}
	u, err := url.Parse(strings.Replace(b.String(), "?&", "?", 1))
	if err != nil || u.Host == "" {
		return Subscribe{}, fmt.Errorf("-url gives %q for stream %d, which is not a URL", b.String(), n)
	}
	s := Subscribe{Method: a.cfg.Method, URL: u, Header: slices.Clone(a.subHead)}
	if s.Method == "" {
		s.Method = "GET"
	}
	for _, h := range templates.head {
		b.Reset()
		if err := h.value.Execute(&b, v); err != nil {
			return Subscribe{}, fmt.Errorf("-header %s: %w", h.name, err)
		}
		if bytes.ContainsAny(b.Bytes(), "\r\n") {
			return Subscribe{}, fmt.Errorf("-header %s has a line end for stream %d", h.name, n)
		}
		s.Header = append(s.Header, Header{h.name, b.String()})
	}
	if a.subBody != nil {
		var body bytes.Buffer
		if err := a.subBody.Execute(&body, v); err != nil {
			return Subscribe{}, fmt.Errorf("-body: %w", err)
		}
		s.Body = body.Bytes()
	}
	return s, nil
}

func (a *Adapter) vars(n int) Stream {
	c := a.cfg
	user := c.User(n)
	v := Stream{N: n, User: userName(user), UserN: int(user), All: a.mix.Broadcast > 0, Own: a.mix.Users > 0, Run: c.RunID}
	if len(c.Tokens) > 0 {
		v.Token = c.Tokens[int(user)%len(c.Tokens)]
	}
	if len(c.Login.Take) > 0 {
		v.Login = a.login(user)
	}
	if len(c.Rows) > 0 {
		k := uint64(user)
		if c.Finite {
			v.Request = a.requests.Add(1) - 1
			k = v.Request
		}
		v.Row = c.Rows[k%uint64(len(c.Rows))]
	}
	first := c.FirstTopic(n)
	for k := range c.FollowedTopics() {
		v.Topics = append(v.Topics, topicName((first+uint32(k))%uint32(c.Topics)))
	}
	if len(v.Topics) > 0 {
		v.Topic = v.Topics[0]
	}
	return v
}

// StartAt has the requests of finite streams begin with row n of the data, so that
// processes do not all send the same.
func (a *Adapter) StartAt(n int) { a.requests.Store(uint64(n)) }

// Channels is the stream's subscriptions as Centrifugo's connect command,
// escaped for a query.
func (s Stream) Channels() string {
	var names []string
	if s.All {
		names = append(names, "all")
	}
	if s.Own {
		names = append(names, s.User)
	}
	names = append(names, s.Topics...)
	var b strings.Builder
	b.WriteString(`{"subs":{`)
	for i, n := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Quote(n) + ":{}")
	}
	b.WriteString("}}")
	return url.QueryEscape(b.String())
}

func userName(i uint32) string  { return "u" + strconv.FormatUint(uint64(i), 10) }
func topicName(i uint32) string { return "t" + strconv.FormatUint(uint64(i), 10) }

// target is the channel of servers that know channels only.
func (e Event) target() string {
	switch e.Kind {
	case stamp.User:
		return userName(e.Index)
	case stamp.Topic:
		return topicName(e.Index)
	}
	return "all"
}

// Mix is to whom events go.
func (a *Adapter) Mix() config.Mix { return a.mix }

// PushURL is where events are published, as far as it is the same for all.
func (a *Adapter) PushURL() string { return a.pushURL }

// PushMethod is the request method of a push.
func (a *Adapter) PushMethod() string {
	if a.cfg.PushMethod != "" {
		return a.cfg.PushMethod
	}
	return a.server.method
}

// PushHeader is the header of every push.
func (a *Adapter) PushHeader() []Header { return a.pushHead }

// Joinable reports whether y may go into the same request as x.
func (a *Adapter) Joinable(x, y Event) bool {
	if !a.server.batch {
		return false
	}
	if a.name == "centrifugo" {
		return true
	}
	xUser, yUser := x.Kind == stamp.User, y.Kind == stamp.User
	return xUser == yUser && (!xUser || x.Index == y.Index)
}

// Push builds the request that publishes events, which must be joinable.
func (a *Adapter) Push(p *Push, events []Event) error {
	p.URL, p.Body = a.pushURL, p.Body[:0]
	if a.pushEach != nil {
		var b strings.Builder
		if err := a.pushEach.Execute(&b, eventVars(events[0])); err != nil {
			return fmt.Errorf("-push-url: %w", err)
		}
		p.URL = b.String()
	}
	return a.server.body(a, p, events)
}
