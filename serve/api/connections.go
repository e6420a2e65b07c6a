package api

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

type connectionsReply struct {
	Connections []connection `json:"connections"`
	Next        string       `json:"next,omitempty"`       // to be asked for as cursor
	Unanswered  []string     `json:"unanswered,omitempty"` // hubs whose part is missing
}

type connection struct {
	ID            string    `json:"id"`
	UID           string    `json:"uid,omitempty"`
	Since         time.Time `json:"since"`
	State         string    `json:"state"`
	Topics        int       `json:"topics"`
	LastID        string    `json:"last_id"`
	WaitingEvents int       `json:"waiting_events"`
	WaitingBytes  int       `json:"waiting_bytes"`
	Hub           string    `json:"hub,omitempty"` // of a cluster
	Address       string    `json:"address,omitempty"`
	Client        string    `json:"client,omitempty"`
	Transport     string    `json:"transport,omitempty"`
}

type usersReply struct {
	Users      []user   `json:"users"`
	Next       string   `json:"next,omitempty"`
	Unanswered []string `json:"unanswered,omitempty"` // hubs whose part is missing
}

type user struct {
	UID         string     `json:"uid"`
	Online      bool       `json:"online"`
	Connections int        `json:"connections"`
	Since       *time.Time `json:"since,omitempty"`
	Unanswered  []string   `json:"unanswered,omitempty"` // hubs whose connections are not counted
}

func userOf(u engine.User) user {
	r := user{UID: u.UID, Online: u.Connections > 0, Connections: u.Connections}
	if r.Online {
		since := rounded(u.Since)
		r.Since = &since
	}
	return r
}

// rounded is a time as exact as it is known.
func rounded(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func (a *API) connections(c call) (answer, error) {
	if err := c.admin(); err != nil {
		return answer{}, err
	}
	q, err := c.params([]string{"uid", "topic", "state", "address", "cursor", "limit"}, nil)
	if err != nil {
		return answer{}, err
	}
	limit, err := number(q, "limit", defaultPage, engine.MaxListed)
	if err != nil {
		return answer{}, err
	}
	which, err := filterOf(q)
	if err != nil {
		return answer{}, err
	}
	list := a.connectionsHere
	if a.Peers != nil {
		list = a.connectionsOver
	}
	reply, err := list(c.Context(), which, q.Get("cursor"), limit)
	if err != nil {
		return answer{}, err
	}
	return ok(reply), nil
}

// filterOf reads which connections are asked for.
func filterOf(q url.Values) (engine.ConnectionFilter, error) {
	which := engine.ConnectionFilter{UID: q.Get("uid"), Topic: q.Get("topic"), State: q.Get("state"), Address: q.Get("address")}
	if which.UID != "" {
		if err := checkUser(which.UID); err != nil {
			return which, err
		}
	}
	if which.Address != "" {
		addr, err := netip.ParseAddr(which.Address)
		if err != nil {
			return which, &wire.FieldError{Field: "address", Reason: "is no IP address"}
		}
		which.Address = addr.Unmap().String() // as connections have it
	}
	return which, which.Check()
}

func (a *API) connectionsHere(ctx context.Context, which engine.ConnectionFilter, cursor string, limit int) (connectionsReply, error) {
	list, next, err := a.Hub.Connections(ctx, which, cursor, limit)
	if err != nil {
		return connectionsReply{}, err
	}
	reply := connectionsReply{Connections: make([]connection, len(list)), Next: next}
	for i, one := range list {
		reply.Connections[i] = connection{
			ID: one.ID.String(), UID: one.UID, Since: rounded(one.Since), State: one.State, Topics: one.Topics,
			LastID: wire.FormatID(one.LastID), WaitingEvents: one.WaitingEvents, WaitingBytes: one.WaitingBytes,
			Address: one.Peer.Address, Client: one.Peer.Client, Transport: one.Peer.Transport,
		}
	}
	return reply, nil
}

func (a *API) users(c call) (answer, error) {
	if err := c.admin(); err != nil {
		return answer{}, err
	}
	q, err := c.params([]string{"cursor", "limit"}, nil)
	if err != nil {
		return answer{}, err
	}
	limit, err := number(q, "limit", defaultPage, engine.MaxListed)
	if err != nil {
		return answer{}, err
	}
	list := a.usersHere
	if a.Peers != nil {
		list = a.usersOver
	}
	reply, err := list(c.Context(), q.Get("cursor"), limit)
	if err != nil {
		return answer{}, err
	}
	return ok(reply), nil
}

func (a *API) usersHere(ctx context.Context, cursor string, limit int) (usersReply, error) {
	list, next, err := a.Hub.Users(ctx, cursor, limit)
	if err != nil {
		return usersReply{}, err
	}
	reply := usersReply{Users: make([]user, len(list)), Next: next}
	for i, u := range list {
		reply.Users[i] = userOf(u)
	}
	return reply, nil
}

func (a *API) user(c call) (answer, error) {
	uid, err := c.named()
	if err != nil {
		return answer{}, err
	}
	if !c.grant.Admin && uid != c.grant.User {
		return answer{}, c.admin()
	}
	u, _, err := a.Hub.User(c.Context(), uid)
	if err != nil {
		return answer{}, err
	}
	sum := userOf(u)
	sum.UID = uid
	sum.Unanswered = everywhere(c.Context(), a, askOnline, question{UIDs: []string{uid}}, func(_ string, known []user) {
		for _, other := range known {
			sum.add(other)
		}
	})
	return ok(sum), nil
}

// named returns the user that the path names; the query must be empty.
func (c *call) named() (string, error) {
	if _, err := c.params(nil, nil); err != nil {
		return "", err
	}
	uid := c.PathValue("uid")
	return uid, checkUser(uid)
}

// checkUser refuses what is no name of a user anywhere.
func checkUser(uid string) error {
	probe := wire.Event{Data: "", Users: []string{uid}}
	var field *wire.FieldError
	if err := probe.Validate(); errors.As(err, &field) {
		return &stream.Error{Status: http.StatusBadRequest, Field: "uid", Message: field.Reason}
	}
	return nil
}

// ended is the answer to what has ended connections.
type ended struct {
	Disconnected int `json:"disconnected"`

	// Unanswered are hubs of the cluster that may not have heard of it.
	Unanswered []string `json:"unanswered,omitempty"`
}

func (a *API) endUser(c call) (answer, error) {
	if err := c.admin(); err != nil {
		return answer{}, err
	}
	uid, err := c.named()
	if err != nil {
		return answer{}, err
	}
	n, word, err := a.endUserHere(c.Context(), uid)
	if err != nil {
		return answer{}, err
	}
	// Who asked may hang up: what is begun is done at all hubs. They are asked before it is
	// told in the stream, which may take its time, and so that each counts what it ends.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), patience)
	defer cancel()
	all := ended{Disconnected: n}
	all.Unanswered = everywhere(ctx, a, askEndUser, question{UID: uid, Word: word}, func(_ string, e ended) { all.Disconnected += e.Disconnected })
	if a.Revoker != nil {
		if err := a.Revoker.Tell(ctx, uid); err != nil {
			return answer{}, err
		}
	}
	return ok(all), nil
}

func (a *API) endConnection(c call) (answer, error) {
	if err := c.admin(); err != nil {
		return answer{}, err
	}
	if _, err := c.params(nil, nil); err != nil {
		return answer{}, err
	}
	id, err := engine.ParseConnectionID(c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	n, err := a.endConnectionHere(c.Context(), id)
	if err != nil {
		return answer{}, err
	}
	if n > 0 {
		return ok(ended{Disconnected: n}), nil
	}
	unanswered := everywhere(c.Context(), a, askEndConnection, question{ID: id.String()}, func(_ string, e ended) { n += e.Disconnected })
	switch {
	case n > 0:
		return ok(ended{Disconnected: n}), nil
	case len(unanswered) > 0:
		return answer{}, missing(unanswered)
	}
	return answer{}, errNoConnection
}
