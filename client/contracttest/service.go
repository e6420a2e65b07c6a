package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// capabilities are what the suite may try beyond the standard.
var capabilities = []string{
	"bom", "comments", "cr-only", "headers", "last-event-id", "post", "read-timeout", "report", "restart", "retry",
	"server-directed-shutdown-request",
}

// maxBody bounds a request of the suite.
const maxBody = 1 << 20

// service is the HTTP face that the suite drives.
type service struct {
	mux  *http.ServeMux
	quit func()

	mu      sync.Mutex
	last    int
	streams map[int]*stream
}

func newService(quit func()) *service {
	s := &service{mux: http.NewServeMux(), quit: quit, streams: make(map[int]*stream)}
	s.mux.HandleFunc("GET /{$}", s.status)
	s.mux.HandleFunc("DELETE /{$}", func(http.ResponseWriter, *http.Request) { s.quit() })
	s.mux.HandleFunc("POST /{$}", s.create)
	s.mux.HandleFunc("POST /streams/{n}", s.command)
	s.mux.HandleFunc("DELETE /streams/{n}", s.remove)
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *service) status(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": "spate", "capabilities": capabilities})
}

// create begins a stream.
func (s *service) create(w http.ResponseWriter, r *http.Request) {
	var p params
	if !decode(w, r, &p) {
		return
	}
	st, err := newStream(p)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.last++
	n := s.last
	s.streams[n] = st
	s.mu.Unlock()
	w.Header().Set("Location", fmt.Sprintf("/streams/%d", n))
	w.WriteHeader(http.StatusCreated)
}

// command does something to a stream.
func (s *service) command(w http.ResponseWriter, r *http.Request) {
	var c struct {
		Command string `json:"command"`
	}
	if !decode(w, r, &c) {
		return
	}
	st := s.find(r, false)
	switch {
	case st == nil:
		http.NotFound(w, r)
	case c.Command != "restart":
		http.Error(w, fmt.Sprintf("unknown command %q", c.Command), http.StatusBadRequest)
	default:
		st.client.Restart()
		w.WriteHeader(http.StatusAccepted)
	}
}

func (s *service) remove(w http.ResponseWriter, r *http.Request) {
	st := s.find(r, true)
	if st == nil {
		http.NotFound(w, r)
		return
	}
	st.close()
	w.WriteHeader(http.StatusNoContent)
}

// find returns the stream that a path names, and forgets it where it is taken.
func (s *service) find(r *http.Request, take bool) *stream {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[n]
	if take {
		delete(s.streams, n)
	}
	return st
}

// close ends all streams.
func (s *service) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, st := range s.streams {
		st.close()
		delete(s.streams, n)
	}
}

func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return err == nil
}
