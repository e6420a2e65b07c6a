package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// API is the handlers of one hub. Its fields are set before it is used, and not
// changed then; the handlers may be used by many goroutines at once.
type API struct {
	Hub *engine.Hub

	// Authorize is asked for each request; the grant's Admin is the right to what
	// concerns others. nil lets nobody in.
	Authorize stream.Authorizer

	// Query are the parameters that Authorize reads, such as "ticket": others than
	// those of the route are refused.
	Query []string

	// Source, unless it is nil, says where a request comes from, as stream.WithSource
	// does: requests for history share the turns of their source.
	Source func(*http.Request) string

	// RetryMin and RetryMax are the window of the reconnection time that is told to
	// connections that are ended; 0 and 0 tell none.
	RetryMin, RetryMax time.Duration

	// Revoker, unless it is nil, takes back what users were granted before their
	// connections are ended, so that they do not come back with the credentials that they
	// have.
	Revoker Revoker

	// Peers, unless it is nil, are the other hubs of a cluster: users and connections
	// are those of all, and ended at all.
	Peers Peers

	// Drain, unless it is nil, begins to drain the hub and returns at once. It may be
	// called again, to no effect.
	Drain func()
}

// Revoker takes back what users were granted.
type Revoker interface {
	// Revoke takes back what the user was granted until now, and ends the streams of it. It
	// returns how many these were, and the word by which other hubs do the same. On an
	// error nothing has been done, and nothing is; a *stream.Error is the answer.
	Revoke(user string) (ended int, word json.RawMessage, err error)

	// Take is Revoke by another hub's word.
	Take(word json.RawMessage) (ended int, err error)

	// Tell has the hubs come to know of it that do not answer now. It is called once all
	// were asked. An error is the answer.
	Tell(ctx context.Context, user string) error
}

// Register adds the routes to a mux: GET /history, GET /users, GET and DELETE
// /users/{uid}, GET /connections, GET /audience, DELETE /connections/{id}, and POST /drain where
// Drain is set.
func (a *API) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /history", a.serve(a.history))
	mux.HandleFunc("GET /users", a.serve(a.users))
	mux.HandleFunc("GET /users/{uid}", a.serve(a.user))
	mux.HandleFunc("DELETE /users/{uid}", a.serve(a.endUser))
	mux.HandleFunc("GET /connections", a.serve(a.connections))
	mux.HandleFunc("GET /audience", a.serve(a.audience))
	mux.HandleFunc("DELETE /connections/{id}", a.serve(a.endConnection))
	if a.Drain != nil {
		mux.HandleFunc("POST /drain", a.serve(a.drain))
	}
}

// patience bounds the wait for the hub.
const patience = 10 * time.Second

// call is one request that is let in.
type call struct {
	*http.Request
	grant stream.Grant
	query []string // what the authorizer reads
}

// params parses the query.
func (c *call) params(single, multiple []string) (url.Values, error) {
	return stream.ParseRouteQuery(c.Request, slices.Concat(single, c.query), multiple)
}

// answer is what a handler returns: the status, and the body as JSON.
type answer struct {
	status int
	body   any
}

func ok(body any) answer { return answer{http.StatusOK, body} }

// serve makes a handler of a function whose error is the answer where there is one.
func (a *API) serve(fn func(call) (answer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if a.Authorize == nil {
			stream.WriteError(w, &stream.Error{Status: http.StatusForbidden, Message: "nobody is let in here"})
			return
		}
		grant, err := a.Authorize(r)
		if err == nil && grant.ExpiredAt(time.Now()) {
			err = &stream.Error{Status: http.StatusUnauthorized, Message: "the credentials have expired"}
		}
		if err == nil && r.Method != http.MethodGet && r.Method != http.MethodHead {
			err = stream.CheckNoBody(r)
		}
		if err != nil {
			stream.WriteError(w, stream.AuthorizerError(err))
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		reply, err := fn(call{r.WithContext(ctx), grant, a.Query})
		if err != nil {
			stream.WriteError(w, refusal(err))
			return
		}
		writeJSON(w, r, reply)
	}
}

// refusal is an error as an answer.
func refusal(err error) *stream.Error {
	var own *stream.Error
	var field *wire.FieldError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &field):
		return &stream.Error{Status: http.StatusBadRequest, Field: field.Field, Message: field.Reason}
	case errors.Is(err, engine.ErrClosed):
		return &stream.Error{Status: http.StatusServiceUnavailable, Message: "the hub is closed"}
	case errors.Is(err, engine.ErrNoLog):
		return &stream.Error{Status: http.StatusNotImplemented, Message: "the hub keeps no history"}
	case errors.Is(err, engine.ErrHistory):
		return &stream.Error{Status: http.StatusServiceUnavailable, Message: "history could not be read"}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &stream.Error{Status: http.StatusServiceUnavailable, Message: "the hub is too busy"}
	}
	return &stream.Error{Status: http.StatusInternalServerError, Message: "it could not be done"}
}

// answerTime bounds how long a peer may take for an answer: a page can be some MiB, and
// is held until it has gone. Tests set it.
var answerTime = 30 * time.Second

func writeJSON(w http.ResponseWriter, r *http.Request, a answer) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	srv, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	if srv == nil || srv.WriteTimeout <= 0 { // else it has a deadline already
		rc := http.NewResponseController(w)
		_ = rc.SetWriteDeadline(time.Now().Add(answerTime)) // writers without deadlines have none to set
		defer func() {
			_ = rc.Flush()                       // what is left goes within the deadline
			_ = rc.SetWriteDeadline(time.Time{}) // the connection's next request has a time of its own
		}()
	}
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body) // the peer may be gone
}

// admin refuses whoever is none.
func (c *call) admin() error {
	if c.grant.Admin {
		return nil
	}
	return &stream.Error{Status: http.StatusForbidden, Message: "this takes the right to administer the hub (admin)"}
}

// number reads a parameter that is a number, standard where it is not there.
func number(q url.Values, name string, standard, most int) (int, error) {
	if !q.Has(name) {
		return standard, nil
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 1 || n > most {
		return 0, &stream.Error{Status: http.StatusBadRequest, Field: name, Message: fmt.Sprintf("must be a number from 1 to %d", most)}
	}
	return n, nil
}

func (a *API) drain(c call) (answer, error) {
	if err := c.admin(); err != nil {
		return answer{}, err
	}
	if _, err := c.params(nil, nil); err != nil {
		return answer{}, err
	}
	a.Drain()
	return answer{http.StatusAccepted, map[string]bool{"draining": true}}, nil
}
