package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/jetstream"
	"github.com/spatehub/spate/engine"
)

// clusterConfig says of which cluster the hub is one.
type clusterConfig struct {
	urls          serversValue
	stream        string
	replicas      int
	maxAge        time.Duration
	creds         string
	ca, cert, key string
	silence       time.Duration
	then          string
	name          string
}

func (c *clusterConfig) addFlags(fs *flagSet) {
	c.maxAge, c.silence = jetstream.DefaultMaxAge, 5*time.Second
	fs.Var(&c.urls, "cluster", "be one of several hubs over NATS JetStream at this `URL`, such as nats://10.0.0.1:4222, or several with commas between them")
	fs.StringVar(&c.stream, "cluster-stream", jetstream.DefaultStream, "`name` of the stream, the same at all hubs; it is made if it is not there")
	fs.IntVar(&c.replicas, "cluster-replicas", jetstream.DefaultReplicas, "`number` of servers that keep the stream: 3 and 5 survive the loss of one and two")
	fs.Var((*ageValue)(&c.maxAge), "cluster-max-age", "`time` for which a stream that is made here keeps events: longer than any outage of a hub")
	fs.StringVar(&c.creds, "cluster-creds", "", "`file` with NATS credentials (.creds)")
	fs.StringVar(&c.ca, "cluster-tls-ca", "", "PEM `file` with the certificates that issue those of the NATS servers")
	fs.StringVar(&c.cert, "cluster-tls-cert", "", "PEM `file` with the certificate that the hub shows to NATS servers")
	fs.StringVar(&c.key, "cluster-tls-key", "", "PEM `file` with that certificate's private key")
	fs.StringVar(&c.name, "cluster-name", "", "`name` of this hub among the others (default the machine's name and the port)")
	fs.Var((*ageValue)(&c.silence), "cluster-silence", "`time` without a word from the cluster after which the hub takes no pushes")
	fs.StringVar(&c.then, "cluster-silent", "keep", "`what` a hub does with its streams then: keep, or end, so that clients go elsewhere")
}

// on reports whether the hub is one of several.
func (c *clusterConfig) on() bool { return len(c.urls.values) > 0 }

// servers are the servers' URLs. One value may list several, and leave the scheme out after the first.
func (c *clusterConfig) servers() (urls []string) {
	for _, value := range c.urls.values {
		for text := range strings.SplitSeq(value, ",") {
			if text = strings.TrimSpace(text); !strings.Contains(text, "://") {
				text = "nats://" + text
			}
			urls = append(urls, text)
		}
	}
	return urls
}

func (c *clusterConfig) validate(fs *flagSet, immediate bool) {
	for _, text := range c.servers() {
		u, err := url.Parse(text)
		fs.must(err == nil && (u.Scheme == "nats" || u.Scheme == "tls") && u.Host != "" && portOf(u) && strings.Trim(u.Path, "/") == "", "cluster", "--cluster %q: give a URL such as nats://10.0.0.1:4222 or tls://nats.example.com", redacted(text))
	}
	for _, name := range []string{"cluster-stream", "cluster-replicas", "cluster-max-age", "cluster-creds", "cluster-tls-ca", "cluster-tls-cert", "cluster-tls-key", "cluster-silence", "cluster-silent", "cluster-name"} {
		fs.must(c.on() || !fs.given(name), name, "--%s says something of a cluster: give --cluster", name)
	}
	fs.must(c.replicas >= 1 && c.replicas <= 5, "cluster-replicas", "--cluster-replicas %d: give 1 to 5", c.replicas)
	fs.must(c.maxAge == 0 || c.maxAge >= time.Minute, "cluster-max-age", "--cluster-max-age %v: give 1m or more, or 0 for no end", c.maxAge)
	fs.must(c.silence >= time.Second, "cluster-silence", "--cluster-silence %v: give 1s or more", c.silence)
	fs.must(len(c.name) <= 256, "cluster-name", "--cluster-name: give 256 bytes at most")
	fs.must(c.then == "keep" || c.then == "end", "cluster-silent", "--cluster-silent %q: give keep or end", c.then)
	fs.must((c.cert == "") == (c.key == ""), "cluster-tls-cert", "--cluster-tls-cert and --cluster-tls-key go together: give both")
	fs.must(!c.on() || !immediate, "immediate", "--immediate and --cluster contradict each other: a hub of a cluster delivers what is committed")
}

// portOf says whether a URL's port is one, or left out.
func portOf(u *url.URL) bool {
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n > 0 || u.Port() == "" && !strings.HasSuffix(u.Host, ":")
}

// serversValue is a list of servers, whose URLs may have users, passwords and tokens.
type serversValue struct{ listValue }

var credentialsOfServer = regexp.MustCompile(`(^|,)(\s*(?:[A-Za-z]+://)?)[^,]*@`)

// shown is the list without them: of a server, whose scheme may be left out, all up to its last @.
func (v *serversValue) shown() []string {
	shown := make([]string, len(v.values))
	for i, text := range v.values {
		shown[i] = credentialsOfServer.ReplaceAllString(text, "${1}${2}"+hidden+"@")
	}
	return shown
}

// redacted is a URL without its password.
func redacted(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "of some kind" // it may be anything, and a password be in it
	}
	return u.Redacted()
}

// joined is a hub's place in a cluster. A nil one is that of a hub that is alone.
type joined struct {
	nc     *nats.Conn
	stream *jetstream.Stream
	node   *cluster.Node
	name   string // of the stream
	log    *slog.Logger
	peers  *cluster.Peers // nil: not begun
	answer cluster.Answerer
}

// startTime is how long a hub that starts waits for its cluster before it begins without: not ready, and without streams
// and pushes until the cluster is there.
const startTime = 15 * time.Second

// tellTime is after how long it says so.
const tellTime = time.Second

// join connects the hub to its cluster, and makes or checks the stream.
func (c *clusterConfig) join(ctx context.Context, log *slog.Logger) (*joined, error) {
	if !c.on() {
		return nil, nil
	}
	if faults := c.fileFaults(); len(faults) > 0 {
		return nil, faults[0].err
	}
	reach := &natsReach{}
	opts := append(jetstream.ConnOptions(), reach.options(log)...)
	if c.creds != "" {
		opts = append(opts, nats.UserCredentials(c.creds))
	}
	if c.ca != "" {
		opts = append(opts, nats.RootCAs(c.ca))
	}
	if c.cert != "" {
		opts = append(opts, nats.ClientCert(c.cert, c.key))
	}
	nc, err := nats.Connect(strings.Join(c.servers(), ","), opts...)
	if err != nil {
		return nil, fmt.Errorf("--cluster: %w", err)
	}
	stream, err := c.open(ctx, nc, reach, log)
	if err != nil {
		nc.Close()
		return nil, err
	}
	then := cluster.KeepStreams
	if c.then == "end" {
		then = cluster.EndStreams
	}
	node := cluster.NewNode(stream, cluster.WithLogger(log), cluster.WithSilence(c.silence, then), cluster.WithPresence(0))
	return &joined{nc: nc, stream: stream, node: node, name: c.stream, log: log}, nil
}

// open tries for a while to get at the stream: servers that start with their hubs need some seconds for a leader. What
// is there and can't be used ends it; what is not there the node goes on to ask for.
func (c *clusterConfig) open(ctx context.Context, nc *nats.Conn, reach *natsReach, log *slog.Logger) (*jetstream.Stream, error) {
	s, err := jetstream.New(nc, jetstream.WithStream(c.stream), jetstream.WithReplicas(c.replicas), jetstream.WithMaxAge(c.maxAge), jetstream.WithLogger(log))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	said := time.After(tellTime)
	for why := error(nil); ; {
		try, stop := context.WithTimeout(ctx, 5*time.Second)
		err := s.Prepare(try)
		stop()
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, jetstream.ErrDiffers):
			return nil, fmt.Errorf("%w; mend it (nats stream edit), or choose another one with --cluster-stream", err)
		}
		if now := reach.why(nc, err); why == nil || !timeOver(now) {
			why = now
		}
		select {
		case <-said:
			log.Warn("cluster: it is not to be used yet; the hub waits for it, for "+startTime.String()+" in all", "servers", c.shown(), "why", why)
		default:
		}
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			log.Error("cluster: it is not to be used yet; the hub is not ready, and goes on trying", "servers", c.shown(), "why", why)
			return s, nil
		}
	}
}

// options are the engine's.
func (j *joined) options() []engine.HubOption {
	if j == nil {
		return nil
	}
	return []engine.HubOption{engine.WithSource(j.node)}
}

// close ends the connection, after the hub.
func (j *joined) close() {
	if j == nil {
		return
	}
	if j.peers != nil {
		j.peers.Close()
		_ = j.nc.FlushTimeout(time.Second) // that the hub ends
	}
	j.nc.Close()
}

// clusterStats is what GET /stats tells of the cluster.
type clusterStats struct {
	Stream   string `json:"stream"`
	Server   string `json:"server"` // that the hub is connected to; empty: none
	Position string `json:"position"`
	Ready    bool   `json:"ready"`
	Reason   string `json:"reason,omitempty"` // why it is not
}

func (j *joined) stats(ready error) *clusterStats {
	if j == nil {
		return nil
	}
	st := &clusterStats{Stream: j.name, Server: j.nc.ConnectedServerName(), Position: fmt.Sprint(j.node.Position()), Ready: true}
	if ready != nil {
		st.Ready, st.Reason = false, ready.Error()
	}
	return st
}
