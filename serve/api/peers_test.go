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

// twoOthers are hubs beside this one, b: a and c do not know a question, as they are of another version, or are silent.
type twoOthers struct {
	silent bool
}

func (twoOthers) Self() (name, id string) { return "hub-b", "b" }

func (o twoOthers) Ask(_ context.Context, _ string, body any) (answers []api.PeerAnswer) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	var q struct{ To string }
	if err := json.Unmarshal(text, &q); err != nil {
		panic(err)
	}
	for _, id := range []string{"a", "c"} {
		one := api.PeerAnswer{Hub: "hub-" + id, ID: id, Body: []byte("null")}
		if q.To == id {
			one.Body, one.Err, one.Refused = nil, errors.New("not known"), !o.silent
		}
		answers = append(answers, one)
	}
	return answers
}

// A hub of another version, which does not answer a question, is named, and does not end the list for the others.
func TestAListGoesOnBehindAHubOfAnotherVersion(t *testing.T) {
	hub := engine.NewHub()
	defer hub.Close()
	s := &sink{make(chan error, 1)}
	_, err := hub.Subscribe(engine.Subscription{UID: "tom"}, s)
	require.NoError(t, err)
	ask := answers(&api.API{Hub: hub, Peers: twoOthers{}})
	found, missing, cursor := 0, map[string]bool{}, ""
	for pages := 0; pages == 0 || cursor != ""; pages++ {
		require.Less(t, pages, 5)
		w := ask("GET", "/connections?cursor="+cursor)
		require.Equal(t, 200, w.Code, w.Body.String())
		var page struct {
			Connections []any
			Next        string
			Unanswered  []string
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &page))
		found += len(page.Connections)
		for _, one := range page.Unanswered {
			missing[one] = true
		}
		cursor = page.Next
	}
	require.Equal(t, 1, found)
	require.Equal(t, map[string]bool{"hub-a": true, "hub-c": true}, missing)

	ask = answers(&api.API{Hub: hub, Peers: twoOthers{silent: true}})
	require.Equal(t, 503, ask("GET", "/connections?cursor=a.").Code, "it may come back")
}
