//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// bed is a server with a script, and what a client makes of it.
type bed struct {
	srv *httptest.Server
	lib library

	mu       sync.Mutex
	changed  chan struct{} // closed and made anew with each change
	requests []seen
	open     int // handlers that run
	events   []got
	errs     []error
}

// seen is a request.
type seen struct {
	at     time.Time
	method string
	path   string
	body   string
	header http.Header
}

// got is an event.
type got struct {
	id, kind, data string
	at             time.Time
}

// turn answers one request.
type turn func(w http.ResponseWriter, r *http.Request)

// soon is how long a try waits for what has to come, and for what must not.
const (
	soon  = 3 * time.Second
	never = 800 * time.Millisecond
)

// newBed starts a server that answers by turns; the last stays.
func newBed(lib library, turns ...turn) *bed {
	b := &bed{lib: lib, changed: make(chan struct{})}
	b.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var t turn
		b.change(func() {
			t = turns[min(len(b.requests), len(turns)-1)]
			b.requests = append(b.requests, seen{time.Now(), r.Method, r.URL.Path, string(body), r.Header.Clone()})
			b.open++
		})
		defer b.change(func() { b.open-- })
		t(w, r)
	}))
	return b
}

func (b *bed) close() {
	b.srv.CloseClientConnections()
	b.srv.Close()
}

func (b *bed) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	close(b.changed)
	b.changed = make(chan struct{})
}

// until waits for a condition, for at most d.
func (b *bed) until(d time.Duration, cond func() bool) bool {
	timeout := time.After(d)
	for {
		b.mu.Lock()
		ok, changed := cond(), b.changed
		b.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-timeout:
			return false
		}
	}
}

// start opens the client with what the bed notes.
func (b *bed) start(r request) (running, error) {
	if r.URL == "" {
		r.URL = b.srv.URL + "/stream"
	}
	if r.Interval == 0 {
		r.Interval = 10 * time.Millisecond
	}
	then := r.Event
	r.Event = func(id, kind, data string) {
		b.change(func() { b.events = append(b.events, got{id, kind, data, time.Now()}) })
		if then != nil {
			then(id, kind, data)
		}
	}
	r.Error = func(err error) { b.change(func() { b.errs = append(b.errs, err) }) }
	return b.lib.Open(r)
}

// dataIs reports whether the events so far have this data. Where it is JSON, spaces
// don't matter: one of the clients decodes it.
func (b *bed) dataIs(want ...string) bool {
	if len(b.events) != len(want) {
		return false
	}
	for i, e := range b.events {
		if e.data != want[i] && (compact(e.data) == "" || compact(e.data) != compact(want[i])) {
			return false
		}
	}
	return true
}

// compact is JSON without spaces, "" for what is none.
func compact(text string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return ""
	}
	return b.String()
}

// Turns.

// say writes parts, each flushed, and stays.
func say(parts ...string) turn {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, part := range parts {
			_, _ = io.WriteString(w, part)
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond) // so that each is a packet of its own
		}
		<-r.Context().Done()
	}
}

// sayAndEnd writes text and ends in order. Where it says nothing else, a client may
// come back after 10 ms: not all have a setting for that.
func sayAndEnd(text string) turn {
	if !strings.Contains(text, "retry:") {
		text = "retry: 10\n" + text
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, text)
		w.(http.Flusher).Flush()
	}
}

// sayAndBreak writes text and breaks the connection.
func sayAndBreak(text string) turn {
	return func(w http.ResponseWriter, r *http.Request) {
		sayAndEnd(text)(w, r)
		time.Sleep(50 * time.Millisecond)
		panic(http.ErrAbortHandler)
	}
}

// answer writes a status, headers in pairs, and a body.
func answer(code int, body string, headers ...string) turn {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// result is what came out of a try.
type result struct {
	Name  string
	OK    bool
	NoWay bool   // the client has no setting for it
	Fault string // a panic, say
}

// tryAll tries every behaviour on a client, one after the other, each in a process
// of its own: what a client leaves behind is not the next one's, and neither is a
// crash.
func tryAll(lib library) (all []result) {
	for i, b := range behaviours {
		var r result
		if err := spawn(&r, "-child", "try", "-client", lib.Name, "-n", fmt.Sprint(i)); err != nil {
			r = result{Name: b.name, Fault: "it takes the program down: " + err.Error()}
		}
		all = append(all, r)
	}
	return all
}

func tryOne(lib library, b behaviour) (res result) {
	res.Name = b.name
	defer func() {
		if p := recover(); p != nil {
			res.OK, res.Fault = false, fmt.Sprint(p)
		}
	}()
	ok, err := b.try(lib)
	res.OK, res.NoWay = ok && err == nil, err == errNoWay
	if err != nil && !res.NoWay {
		res.Fault = err.Error()
	}
	return res
}
