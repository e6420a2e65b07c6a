package cluster

import (
	"context"
	"errors"
	"time"
)

// Board keeps texts for all nodes of a cluster, for longer than the stream keeps events.
// An Orderer may be one.
type Board interface {
	// Post puts a text in the place of what is there under the key, until a time; the
	// zero time is for ever. nil means that a quorum has it.
	Post(ctx context.Context, key string, text []byte, until time.Time) error

	// Posted calls fn with all texts, the newest of a key last, until fn returns an error.
	// Of each key that was posted before the call there is one, unless its time is over.
	Posted(ctx context.Context, fn func(key string, text []byte) error) error
}

// ErrNoBoard: the orderer keeps no texts.
var ErrNoBoard = errors.New("cluster: the orderer has no board")

// Board returns the orderer's board, or ErrNoBoard.
func (n *Node) Board() (Board, error) {
	if b, is := n.orderer.(Board); is {
		return b, nil
	}
	return nil, ErrNoBoard
}
