package auth

import (
	"sync/atomic"

	"github.com/spatehub/spate/serve/stream"
)

// lastRights are those of the last good token, by their text: the tokens of an issuer
// have few different ones, and to read them is a third of what a token of HS256 costs.
// Grants of one text share their lists, which nobody changes.
type lastRights struct{ last atomic.Pointer[readRights] }

// maxRightsText bounds what is remembered.
const maxRightsText = 4 << 10

type readRights struct {
	text  string
	grant stream.Grant // the rights and limits, and nothing else
}

// parse is [ParseRights] for the text of a good token, into a grant that has the
// default's limits and no rights.
func (l *lastRights) parse(text []byte, g *stream.Grant) error {
	if last := l.last.Load(); last != nil && last.text == string(text) {
		g.Read, g.Push, g.Admin, g.Limits = last.grant.Read, last.grant.Push, last.grant.Admin, last.grant.Limits
		return nil
	}
	if err := ParseRights(text, g); err != nil {
		return err
	}
	if len(text) <= maxRightsText {
		l.last.Store(&readRights{string(text), stream.Grant{Read: g.Read, Push: g.Push, Admin: g.Admin, Limits: g.Limits}})
	}
	return nil
}
