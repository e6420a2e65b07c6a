package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/wire"
)

// A push with a key is there once, whichever node takes it. Who has applied all that was
// committed up to a moment knows the keys until then; for those after it the orderer
// remembers tokens. So that moment must not be older than what the orderer remembers,
// less the time that a push may take.

// currentFor is for how long it counts that a node was up to date: with the patience of a
// push it must be less than the two minutes of Noter.
const currentFor = 45 * time.Second

// keyToken is what the tokens of pushes with a key begin with. No node's name does.
const keyToken = "key-"

var _ engine.NotedSource = (*Node)(nil)

// AssignNoted implements [engine.NotedSource].
func (n *Node) AssignNoted(ctx context.Context, key string, note []byte, uids []string, events []*wire.Event) ([]uint64, error) {
	noter, is := n.orderer.(Noter)
	if !is {
		return nil, engine.ErrNoNotes
	}
	if err := n.Ready(); err != nil {
		return nil, err
	}
	logged := address(uids, events)
	ctx, cancel := context.WithTimeout(ctx, min(n.cfg.patience, time.Minute))
	defer cancel()
	if err := n.beCurrent(ctx); err != nil {
		return nil, err
	}
	token := keyToken + key
	return n.commit(ctx, token, logged, events, func(ctx context.Context) error { return noter.PublishNoted(ctx, token, note, events) })
}

// beCurrent returns once the node has applied all that was committed before a moment not
// long ago.
func (n *Node) beCurrent(ctx context.Context) error {
	n.mu.Lock()
	fresh := time.Since(n.current) < currentFor
	n.mu.Unlock()
	if fresh {
		return nil
	}
	asked := time.Now()
	head, err := n.heads.get(ctx)
	if err != nil {
		return fmt.Errorf("%w: what others have published is not to be found out: %w", engine.ErrUnready, err)
	}
	for n.pos.Load() < head {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%w: it is behind its cluster: %w", engine.ErrUnready, ctx.Err())
		}
	}
	n.mu.Lock()
	if asked.After(n.current) {
		n.current = asked
	}
	n.mu.Unlock()
	return nil
}

// Notes implements [engine.NotedSource].
func (n *Node) Notes(ctx context.Context, since time.Time, fn func(engine.Note) error) error {
	noter, is := n.orderer.(Noter)
	if !is {
		return engine.ErrNoNotes
	}
	return noter.Notes(ctx, since, func(note Note) error { return fn(note.engine()) })
}

func (n *Note) engine() engine.Note { return engine.Note{ID: n.ID, Time: n.Time, Data: n.Data} }

// OnNote implements [engine.NotedSource].
func (n *Node) OnNote(fn func(engine.Note)) { n.onNote.Store(&fn) }

// tellNotes passes on the notes of a page that is applied.
func (n *Node) tellNotes(notes []Note) {
	fn := n.onNote.Load()
	if fn == nil {
		return
	}
	for i := range notes {
		(*fn)(notes[i].engine())
	}
}
