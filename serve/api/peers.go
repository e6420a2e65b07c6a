package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/stream"
)

// Peers are the other hubs of a cluster.
type Peers interface {
	// Self is this hub, as the others have it: its name, and the ID of its life.
	Self() (name, id string)

	// Ask has the other hubs answer a question by [API.Answer], and returns what each
	// says, by name. It is bounded, also where ctx is not.
	Ask(ctx context.Context, question string, body any) []PeerAnswer
}

// PeerAnswer is what one hub says.
type PeerAnswer struct {
	Hub  string // its name
	ID   string // of its life
	Body json.RawMessage
	Err  error // why there is no answer

	// Refused says that the hub is there and does not answer this question, as one of
	// another version may not.
	Refused bool
}

// Questions of hubs to each other.
const (
	askEndUser       = "end-user"
	askEndConnection = "end-connection"
	askConnections   = "connections-which" // "connections" was of a user alone; to pass that over would list everybody
	askUsers         = "users"
	askOnline        = "online" // which of some users are
)

// question is the body of any.
type question struct {
	To     string   `json:"to,omitempty"` // ID of the one hub that is asked; the others say nothing
	UID    string   `json:"uid,omitempty"`
	UIDs   []string `json:"uids,omitempty"`
	ID     string   `json:"id,omitempty"`
	Cursor string   `json:"cursor,omitempty"`
	Limit  int      `json:"limit,omitempty"`

	// Of askEndUser: the word of a Revoker. Older hubs say none.
	Word json.RawMessage `json:"word,omitempty"`

	// Of askConnections.
	Which engine.ConnectionFilter `json:"which,omitzero"`
}

// peerPage bounds a list of which a hub tells another one, so that it fits into one message.
const peerPage = 200

// Answer answers a question of another hub. Who may ask is for the caller to know: there
// is no authorizer between hubs.
func (a *API) Answer(ctx context.Context, what string, body json.RawMessage) (any, error) {
	var q question
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, fmt.Errorf("question %q: %w", what, err)
	}
	if a.Peers == nil {
		return nil, errors.New("this hub has no others")
	}
	if _, own := a.Peers.Self(); q.To != "" && q.To != own {
		return nil, nil
	}
	q.Limit = min(max(q.Limit, 1), peerPage)
	switch what {
	case askEndUser:
		return a.endUserAtWord(ctx, q.UID, q.Word)
	case askEndConnection:
		id, err := engine.ParseConnectionID(q.ID)
		if err != nil {
			return nil, err
		}
		n, err := a.endConnectionHere(ctx, id)
		return ended{Disconnected: n}, err
	case askConnections:
		return a.connectionsHere(ctx, q.Which, q.Cursor, q.Limit)
	case askUsers:
		return a.usersHere(ctx, q.Cursor, q.Limit)
	case askOnline:
		if len(q.UIDs) > peerPage {
			return nil, fmt.Errorf("%d users are asked for, at most %d", len(q.UIDs), peerPage)
		}
		return a.onlineHere(ctx, q.UIDs)
	}
	return nil, fmt.Errorf("%q is no question that this hub answers: it is of another version", what)
}

// everywhere has all hubs answer, and calls fn with each answer. It returns the names of
// those that did not, nil for none.
func everywhere[T any](ctx context.Context, a *API, what string, q question, fn func(hub string, answer T)) (unanswered []string) {
	if a.Peers == nil {
		return nil
	}
	for _, one := range a.Peers.Ask(ctx, what, q) {
		var t T
		if one.Err != nil || json.Unmarshal(one.Body, &t) != nil {
			unanswered = append(unanswered, one.Hub)
			continue
		}
		fn(one.Hub, t)
	}
	return unanswered
}

// onlineHere returns what this hub knows of users, those without a connection left out.
func (a *API) onlineHere(ctx context.Context, uids []string) ([]user, error) {
	found := []user{}
	for _, uid := range uids {
		u, online, err := a.Hub.User(ctx, uid)
		if err != nil {
			return nil, err
		}
		if online {
			found = append(found, userOf(u))
		}
	}
	return found, nil
}

// add adds what another hub knows of the same user.
func (u *user) add(other user) {
	u.Connections = min(u.Connections+other.Connections, engine.MaxCounted)
	u.Online = u.Online || other.Online
	if u.Since == nil || other.Since != nil && other.Since.Before(*u.Since) {
		u.Since = other.Since
	}
}

// A cursor over the hubs says whose list, by the ID of its life, and where in it. The
// hubs come in the order of these IDs, so that any hub can be asked for the next page.
func parseHubCursor(text string) (hub, cursor string, err error) {
	if text == "" {
		return "", "", nil
	}
	hub, cursor, ok := strings.Cut(text, ".")
	if !ok || hub == "" {
		return "", "", &stream.Error{Status: http.StatusBadRequest, Field: "cursor", Message: "is none that a list of this cluster gave"}
	}
	return hub, cursor, nil
}

// errHubGone is the answer to a cursor into the list of a hub that does not answer.
var errHubGone = &stream.Error{Status: http.StatusServiceUnavailable, Field: "cursor", Message: "the hub that it stands for does not answer: try again, or begin anew without it"}

// hubList is a page of one hub's list.
type hubList[T any] struct {
	items      []T
	name, hub  string // whose it is
	next       string
	unanswered []string
}

// present returns the IDs of the hubs that answer, this one among them, in order, and
// the names of those that do not.
func (a *API) present(answers []PeerAnswer) (ids, unanswered []string) {
	_, own := a.Peers.Self()
	ids = []string{own}
	for _, one := range answers {
		if one.Err != nil {
			unanswered = append(unanswered, one.Hub)
		} else {
			ids = append(ids, one.ID)
		}
	}
	slices.Sort(ids)
	return ids, unanswered
}

// listOver returns a page of a list that goes over all hubs, one after the other.
func listOver[T any](ctx context.Context, a *API, what, cursor string, q question, own func(cursor string) (items []T, next string, err error), read func(json.RawMessage) (items []T, next string, err error)) (page hubList[T], err error) {
	if page.hub, q.Cursor, err = parseHubCursor(cursor); err != nil {
		return page, err
	}
	name, id := a.Peers.Self()
	q.To = page.hub
	if q.To == "" || q.To == id {
		q.To = id // no other one
	}
	answers := a.Peers.Ask(ctx, what, q)
	order, unanswered := a.present(answers)
	page.unanswered = unanswered
	if page.hub == "" {
		if page.hub = order[0]; page.hub != id {
			q.To = page.hub
			answers = a.Peers.Ask(ctx, what, q)
		}
	}
	if page.hub == id {
		page.name = name
		if page.items, page.next, err = own(q.Cursor); err != nil {
			return page, err
		}
	} else {
		at := slices.IndexFunc(answers, func(one PeerAnswer) bool { return one.ID == page.hub })
		switch {
		case at >= 0 && answers[at].Refused: // the list goes on behind its part
			if !slices.Contains(page.unanswered, answers[at].Hub) {
				page.unanswered = append(page.unanswered, answers[at].Hub)
			}
		case at < 0 || answers[at].Err != nil:
			return page, errHubGone
		default:
			page.name = answers[at].Hub
			if page.items, page.next, err = read(answers[at].Body); err != nil {
				return page, errHubGone
			}
		}
	}
	if page.next != "" {
		page.next = page.hub + "." + page.next
	} else if at, _ := slices.BinarySearch(order, page.hub+"\x00"); at < len(order) {
		page.next = order[at] + "."
	}
	return page, nil
}

// connectionsOver lists the connections of all hubs.
func (a *API) connectionsOver(ctx context.Context, which engine.ConnectionFilter, cursor string, limit int) (connectionsReply, error) {
	page, err := listOver(ctx, a, askConnections, cursor, question{Which: which, Limit: min(limit, peerPage)},
		func(cursor string) ([]connection, string, error) {
			r, err := a.connectionsHere(ctx, which, cursor, limit)
			return r.Connections, r.Next, err
		},
		func(body json.RawMessage) ([]connection, string, error) {
			var r connectionsReply
			err := json.Unmarshal(body, &r)
			return r.Connections, r.Next, err
		})
	if err != nil {
		return connectionsReply{}, err
	}
	for i := range page.items {
		page.items[i].Hub = page.name
	}
	return connectionsReply{Connections: page.items, Next: page.next, Unanswered: page.unanswered}, nil
}

// usersOver lists the users of all hubs, each with the sum of its connections: with the
// part of the list of the first hub that has it.
func (a *API) usersOver(ctx context.Context, cursor string, limit int) (usersReply, error) {
	limit = min(limit, peerPage)
	page, err := listOver(ctx, a, askUsers, cursor, question{Limit: limit},
		func(cursor string) ([]user, string, error) {
			r, err := a.usersHere(ctx, cursor, limit)
			return r.Users, r.Next, err
		},
		func(body json.RawMessage) ([]user, string, error) {
			var r usersReply
			err := json.Unmarshal(body, &r)
			return r.Users, r.Next, err
		})
	if err != nil {
		return usersReply{}, err
	}
	reply := usersReply{Users: page.items, Next: page.next, Unanswered: page.unanswered}
	if len(reply.Users) == 0 {
		return reply, nil
	}
	uids := make([]string, len(reply.Users))
	for i, u := range reply.Users {
		uids[i] = u.UID
	}
	earlier := map[string]bool{} // listed with another hub's
	sums := map[string]user{}
	take := func(known []user, before bool) {
		for _, u := range known {
			earlier[u.UID] = earlier[u.UID] || before
			sum := sums[u.UID]
			sum.add(u)
			sums[u.UID] = sum
		}
	}
	if _, id := a.Peers.Self(); id != page.hub {
		mine, err := a.onlineHere(ctx, uids)
		if err != nil {
			return usersReply{}, err
		}
		take(mine, id < page.hub)
	}
	for _, one := range a.Peers.Ask(ctx, askOnline, question{UIDs: uids}) {
		if one.ID == page.hub {
			continue // its own part is at hand
		}
		var known []user
		if one.Err != nil || json.Unmarshal(one.Body, &known) != nil {
			if !slices.Contains(reply.Unanswered, one.Hub) {
				reply.Unanswered = append(reply.Unanswered, one.Hub)
			}
			continue
		}
		take(known, one.ID < page.hub)
	}
	all := reply.Users
	reply.Users = all[:0]
	for _, u := range all {
		if !earlier[u.UID] {
			u.add(sums[u.UID])
			reply.Users = append(reply.Users, u)
		}
	}
	return reply, nil
}

// missing says that something is not here, and perhaps elsewhere.
func missing(unanswered []string) error {
	return &stream.Error{Status: http.StatusServiceUnavailable, Field: "id", Message: "there is no such connection at the hubs that answer; these do not: " + strings.Join(unanswered, ", "), RetryAfter: 2 * time.Second}
}

var errNoConnection = &stream.Error{Status: http.StatusNotFound, Field: "id", Message: "there is no such connection, or not any more"}

// endUserHere takes back what a user was granted at this hub, and ends its connections.
func (a *API) endUserHere(ctx context.Context, uid string) (n int, word json.RawMessage, err error) {
	if a.Revoker != nil {
		if n, word, err = a.Revoker.Revoke(uid); err != nil {
			return 0, nil, err
		}
	}
	more, err := a.endConnectionsOf(ctx, uid)
	return n + more, word, err
}

// endUserAtWord is endUserHere for another hub, by whose clock things are taken back: what
// was granted meanwhile stays.
func (a *API) endUserAtWord(ctx context.Context, uid string, word json.RawMessage) (all ended, err error) {
	if uid == "" {
		return all, errors.New("no user is named")
	}
	if a.Revoker != nil && len(word) > 0 {
		all.Disconnected, err = a.Revoker.Take(word)
		return all, err
	}
	all.Disconnected, _, err = a.endUserHere(ctx, uid)
	return all, err
}

// endConnectionsOf ends the connections of a user.
func (a *API) endConnectionsOf(ctx context.Context, uid string) (int, error) {
	n, err := a.Hub.Disconnect(ctx, engine.Disconnection{UID: uid, RetryMin: a.RetryMin, RetryMax: a.RetryMax})
	if a.Revoker != nil && errors.Is(err, engine.ErrClosed) {
		err = nil // a hub that has drained has no connections, and the revocation holds
	}
	return n, err
}

// endConnectionHere ends a connection if it is this hub's.
func (a *API) endConnectionHere(ctx context.Context, id engine.ConnectionID) (int, error) {
	return a.Hub.Disconnect(ctx, engine.Disconnection{ID: id, RetryMin: a.RetryMin, RetryMax: a.RetryMax})
}
