package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/clustertest"
)

func startPeer(t *testing.T, port *clustertest.Port, name string, answer cluster.Answerer) *cluster.Peers {
	t.Helper()
	p, err := cluster.NewPeers(port, func() cluster.State { return cluster.State{Name: name, Clients: len(name), Ready: true} }, answer, logger(t))
	require.NoError(t, err)
	return p
}

func names(list []cluster.Peer) (out []string) {
	for _, one := range list {
		out = append(out, one.Name)
	}
	return out
}

// Nodes know each other; a question has an answer of each, or the name of who gives none:
// in bounded time, and without waiting again for one that is silent. Who ends is not
// missed, and who is gone without a word is, for a minute.
func TestPeersAnswerOrAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clustertest.NewFake(1, 1000)
		echo := func(_ context.Context, question string, body json.RawMessage) (any, error) {
			if question == "bad" {
				return nil, errors.New("no such question")
			}
			return fmt.Sprintf("%s %s", question, body), nil
		}
		ports := []*clustertest.Port{f.Port(clustertest.Failures{}), f.Port(clustertest.Failures{}), f.Port(clustertest.Failures{})}
		a := startPeer(t, ports[0], "a", echo)
		b := startPeer(t, ports[1], "bb", echo)
		c := startPeer(t, ports[2], "ccc", echo)
		<-time.After(time.Second)
		require.Equal(t, []string{"bb", "ccc"}, names(a.List()))
		require.Equal(t, []string{"a", "bb"}, names(c.List()))

		began := time.Now()
		answers := a.Ask(t.Context(), "q", 7)
		require.Less(t, time.Since(began), time.Second, "nobody is waited for")
		require.Len(t, answers, 2)
		for i, name := range []string{"bb", "ccc"} {
			require.Equal(t, name, answers[i].Peer.Name)
			require.Equal(t, len(name), answers[i].Peer.Clients)
			require.NoError(t, answers[i].Err)
			require.JSONEq(t, `"q 7"`, string(answers[i].Body))
		}
		require.EqualError(t, a.Ask(t.Context(), "bad", nil)[0].Err, "no such question")

		ports[1].Cut(true)
		began = time.Now()
		answers = a.Ask(t.Context(), "q", 7)
		require.Equal(t, 2*time.Second, time.Since(began))
		require.ErrorIs(t, answers[0].Err, cluster.ErrNoAnswer)
		require.NoError(t, answers[1].Err)
		<-time.After(10 * time.Second)
		began = time.Now()
		answers = a.Ask(t.Context(), "q", 7)
		require.Less(t, time.Since(began), time.Second, "it is silent, and not waited for")
		require.ErrorIs(t, answers[0].Err, cluster.ErrNoAnswer)
		own := b.Ask(t.Context(), "q", 7)
		require.Len(t, own, 2)
		require.ErrorIs(t, own[0].Err, cluster.ErrNoAnswer)

		c.Close()
		<-time.After(time.Second)
		require.Equal(t, []string{"bb"}, names(a.List()))
		<-time.After(time.Minute)
		require.Empty(t, a.List())
		ports[1].Cut(false)
		<-time.After(4 * time.Second)
		require.Equal(t, []string{"bb"}, names(a.List()))
		a.Close()
		b.Close()
	})
}

// What anybody says who may speak on the bus ends nothing, and costs no more than its
// bound.
func FuzzPeersHear(f *testing.F) {
	f.Add([]byte(`{"from":"x","state":{"name":"n","position":"7"},"question":"q","body":{}}`))
	f.Add([]byte(`{"from":"x","bye":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		fake := clustertest.NewFake(1, 1000)
		p := startPeer(t, fake.Port(clustertest.Failures{}), "a", nil)
		defer p.Close()
		require.NoError(t, fake.Port(clustertest.Failures{}).Send(data))
		require.LessOrEqual(t, len(p.List()), 1)
	})
}
