package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/serve/api"
)

// others are the other hubs of a cluster: one, of another version.
type others struct{ asked []string }

func (o *others) Self() (name, id string) { return "new", "B" }

func (o *others) Ask(_ context.Context, question string, _ any) []api.PeerAnswer {
	o.asked = append(o.asked, question)
	return []api.PeerAnswer{{Hub: "old", ID: "A", Err: errors.New("no question that this hub answers")}}
}

// Hubs of two versions that choose connections in two ways do not take the one's question
// for the other's, and list everybody's: the question is refused, and the hub is named.
func TestAQuestionOfAnotherVersionIsRefused(t *testing.T) {
	hub := engine.NewHub()
	defer hub.Close()
	peers := &others{}
	a := &api.API{Hub: hub, Peers: peers}
	w := answers(a)("GET", "/connections?uid=tom")
	require.Equal(t, 200, w.Code)
	require.JSONEq(t, `{"connections":[],"unanswered":["old"]}`, w.Body.String())
	require.NotContains(t, peers.asked, "connections", "which an older hub answers by the uid alone")
	_, err := a.Answer(t.Context(), "connections", json.RawMessage(`{"to":"B","uid":"tom","limit":10}`))
	require.ErrorContains(t, err, "of another version")
}
