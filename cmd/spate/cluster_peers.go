package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/serve/api"
)

// hubName is how a hub is called among others.
func (c *clusterConfig) hubName(addr net.Addr) string {
	if c.name != "" {
		return c.name
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	if tcp, ok := addr.(*net.TCPAddr); ok {
		host = net.JoinHostPort(host, strconv.Itoa(tcp.Port))
	}
	return host
}

// meet has the hub know the others, and be known.
func (j *joined) meet(own func() cluster.State) (err error) {
	if j == nil {
		return nil
	}
	if j.peers, err = cluster.NewPeers(j.stream, own, j.answer, j.log); err == nil {
		j.node.Meet(j.peers)
	}
	return err
}

// Self implements api.Peers.
func (j *joined) Self() (name, id string) {
	self := j.peers.Self()
	return self.Name, self.ID
}

// Ask implements api.Peers.
func (j *joined) Ask(ctx context.Context, question string, body any) []api.PeerAnswer {
	answers := j.peers.Ask(ctx, question, body)
	out := make([]api.PeerAnswer, len(answers))
	for i, a := range answers {
		refused := a.Err != nil && !errors.Is(a.Err, cluster.ErrNoAnswer)
		out[i] = api.PeerAnswer{Hub: a.Peer.Name, ID: a.Peer.ID, Body: a.Body, Err: a.Err, Refused: refused}
	}
	return out
}

// clusterReply is the answer to GET /cluster.
type clusterReply struct {
	Stream   string       `json:"stream,omitempty"`
	Position string       `json:"position"` // of the hub that is furthest
	Clients  int          `json:"clients"`  // connections at all hubs that answered
	Hubs     []clusterHub `json:"hubs"`
}

// clusterHub is one hub of a cluster.
type clusterHub struct {
	Name     string    `json:"name"`
	ID       string    `json:"id,omitempty"` // of its life
	Self     bool      `json:"self"`
	Answered bool      `json:"answered"` // else the rest is what it said last
	Heard    time.Time `json:"heard"`
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Position string    `json:"position"`
	Lag      uint64    `json:"lag"` // IDs behind the hub that is furthest, holes among them
	Ready    bool      `json:"ready"`
	Reason   string    `json:"reason,omitempty"`
	Clients  int       `json:"clients"`
}

// clusterOf puts together what hubs say.
func clusterOf(self cluster.Peer, others []cluster.Answer) clusterReply {
	all := append([]cluster.Answer{{Peer: self}}, others...)
	var most uint64
	for _, a := range all {
		most = max(most, a.Peer.Position)
	}
	reply := clusterReply{Position: strconv.FormatUint(most, 10)}
	for i, a := range all {
		p := a.Peer
		h := clusterHub{
			Name: p.Name, ID: p.ID, Self: i == 0, Answered: a.Err == nil, Heard: p.Heard.UTC(), Version: p.Version, Started: p.Started,
			Position: strconv.FormatUint(p.Position, 10), Lag: most - p.Position, Ready: p.Ready, Reason: p.Reason, Clients: p.Clients,
		}
		if h.Answered {
			reply.Clients += h.Clients
		}
		reply.Hubs = append(reply.Hubs, h)
	}
	return reply
}

// serveCluster tells of all hubs; one that is alone is a cluster of one.
func (src *statsSource) serveCluster(w http.ResponseWriter, r *http.Request) {
	j := src.cluster
	if j == nil {
		writeJSON(w, http.StatusOK, clusterOf(cluster.Peer{State: src.self(), Heard: time.Now()}, nil))
		return
	}
	reply := clusterOf(j.peers.Self(), j.peers.Ask(r.Context(), "", nil))
	reply.Stream = j.name
	writeJSON(w, http.StatusOK, reply)
}

// self is what the hub tells of itself.
func (src *statsSource) self() cluster.State {
	st := cluster.State{Name: src.name, Version: version(), Started: src.started.UTC(), Position: src.hub.LastID(), Ready: true, Clients: src.hub.OnlineClientsNum()}
	if err := src.ready(); err != nil {
		st.Ready, st.Reason = false, err.Error()
	}
	return st
}

// ready says why the hub is not, whether it drains or not: to load balancers, to other hubs and to who reads figures.
func (src *statsSource) ready() error {
	if err := src.hub.Ready(); err != nil || src.known == nil {
		return err
	}
	return src.known()
}
