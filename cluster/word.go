package cluster

import (
	"context"
	"strconv"
	"strings"

	"github.com/spatehub/spate/engine"
)

// Announce adds a text to the stream that is no event: all nodes are told of it as they
// come to its place. It is for what hubs have to know in order, a text of JSON, and is kept
// as long as events are. It returns once a quorum has it, and fails with engine.ErrNoNotes
// where the orderer is no Noter. After an error nobody knows whether it is there.
func (n *Node) Announce(ctx context.Context, text []byte) error {
	noter, is := n.orderer.(Noter)
	if !is {
		return engine.ErrNoNotes
	}
	ctx, cancel := context.WithTimeout(ctx, n.cfg.patience)
	defer cancel()
	token := n.name + "-" + strconv.FormatUint(n.tokens.Add(1), 36)
	_, err := n.commit(ctx, token, 0, nil, func(ctx context.Context) error { return noter.PublishNoted(ctx, token, text, nil) })
	return err
}

// OnWord has said called with each text of Announce that this node comes to, in order,
// perhaps again: what is before it is applied then, and what is behind it is not. Ephemeral
// events have no place: one in the same page is applied before the text unless an entry
// with a higher ID than that of the text comes first. JetStream has them in pages of their
// own. lost is called before the node passes over a part of the stream that is not to be had
// any more, with all that was said there. OnWord is called before the hub begins. They must
// not block.
func (n *Node) OnWord(said func(text []byte), lost func()) { n.said, n.lost = said, lost }

// isWord says whether a note is a text of Announce; the others are those of pushes with a
// key.
func (note *Note) isWord() bool { return !strings.HasPrefix(note.Token, keyToken) }
