package main

import (
	"net/http"
	"time"

	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/wire"
)

// grantReply is the answer to GET /grant: what the caller may do, so that a page offers nothing else.
type grantReply struct {
	User    string     `json:"user,omitempty"`
	Open    bool       `json:"open"` // nobody is asked for credentials: whoever asks may do everything
	Admin   bool       `json:"admin"`
	Read    []string   `json:"read"` // topics and patterns
	Push    pushReply  `json:"push"`
	Expires *time.Time `json:"expires,omitempty"`
}

type pushReply struct {
	Topics   []string `json:"topics"`
	Users    []string `json:"users"`
	AnyUser  bool     `json:"any_user"`
	Everyone bool     `json:"everyone"`
}

// serveGrant answers GET /grant.
func (a *access) serveGrant(w http.ResponseWriter, _ *http.Request, g stream.Grant) {
	reply := grantReply{
		User: g.User, Open: a.open, Admin: g.Admin, Read: patternTexts(g.Read),
		Push: pushReply{
			Topics: patternTexts(g.Push.Topics), Users: append([]string{}, g.Push.Users...),
			AnyUser: g.Push.AnyUser, Everyone: g.Push.Everyone,
		},
	}
	if !g.Expires.IsZero() {
		expires := g.Expires.UTC()
		reply.Expires = &expires
	}
	writeJSON(w, http.StatusOK, reply)
}

func patternTexts(patterns []wire.Pattern) []string {
	texts := make([]string, len(patterns))
	for i, p := range patterns {
		texts[i] = p.String()
	}
	return texts
}
