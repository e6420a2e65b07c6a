package natstest_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/spatehub/spate/cluster"
	"github.com/spatehub/spate/cluster/clustertest"
	"github.com/spatehub/spate/cluster/jetstream"
	"github.com/spatehub/spate/cluster/jetstream/natstest"
	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/internal/testcert"
	"github.com/spatehub/spate/wire"
	"github.com/stretchr/testify/require"
)

// credentials makes an operator, an account with JetStream and a user of it: the servers'
// configuration, and the file that the user shows.
func credentials(t testing.TB, dir string) (config, file string) {
	pair := func(make func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
		key, err := make()
		require.NoError(t, err)
		public, err := key.PublicKey()
		require.NoError(t, err)
		return key, public
	}
	operator, operatorID := pair(nkeys.CreateOperator)
	_, systemID := pair(nkeys.CreateAccount)
	account, accountID := pair(nkeys.CreateAccount)
	user, userID := pair(nkeys.CreateUser)
	encode := func(claims interface {
		Encode(nkeys.KeyPair) (string, error)
	}, by nkeys.KeyPair) string {
		text, err := claims.Encode(by)
		require.NoError(t, err)
		return text
	}
	o := jwt.NewOperatorClaims(operatorID)
	o.SystemAccount = systemID
	a := jwt.NewAccountClaims(accountID)
	a.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	config = fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: { %s: %s, %s: %s }\n",
		encode(o, operator), systemID, systemID, encode(jwt.NewAccountClaims(systemID), operator), accountID, encode(a, operator))
	seed, err := user.Seed()
	require.NoError(t, err)
	text, err := jwt.FormatUserConfig(encode(jwt.NewUserClaims(userID), account), seed)
	require.NoError(t, err)
	file = filepath.Join(dir, "user.creds")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return config, file
}

// Hubs reach servers over TLS, with credentials; without them, or to a server that they
// have no reason to trust, they do not.
func TestTLSAndCredentials(t *testing.T) {
	dir := t.TempDir()
	ca := testcert.NewCA(t, "servers")
	file := func(name string) string { return filepath.Join(dir, name) }
	ca.WritePEM(file("ca.pem"))
	testcert.WritePair(t, ca.Issue(testcert.Leaf{CommonName: "nats"}), file("cert.pem"), file("key.pem"))
	config, creds := credentials(t, dir)
	config += fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }\n", file("cert.pem"), file("key.pem"), file("ca.pem"))
	testcert.WritePair(t, ca.Issue(testcert.Leaf{CommonName: "hub"}), file("hub.pem"), file("hub-key.pem"))
	trust := []nats.Option{nats.RootCAs(file("ca.pem")), nats.ClientCert(file("hub.pem"), file("hub-key.pem"))}
	servers := natstest.StartWith(t, 1, natstest.Access{Config: config, TLS: true, Options: append(trust, nats.UserCredentials(creds))})
	for name, opts := range map[string][]nats.Option{"no credentials": trust, "no certificate": {nats.UserCredentials(creds), nats.RootCAs(file("ca.pem"))}, "no trust": {nats.UserCredentials(creds)}} {
		_, err := nats.Connect(servers.URL(), opts...)
		require.Error(t, err, name)
	}
	hubs := servers.StartHubs(natstest.Spate(t), 2, "--cluster-replicas", "1", "--cluster-creds", creds,
		"--cluster-tls-ca", file("ca.pem"), "--cluster-tls-cert", file("hub.pem"), "--cluster-tls-key", file("hub-key.pem"))
	r := listen(t, hubs.Hubs[1], "uid=tom")
	status, _ := call[map[string]any](t, "POST", hubs.Hubs[0].URL+"/push", `{"events":[{"data":"x"}]}`)
	require.Equal(t, 200, status)
	require.Equal(t, "x", r.next(t).Data)
}

// Invariants 2, 3, 6 and 13 with servers that answer late, and later.
func TestExactlyOnceOverSlowServers(t *testing.T) {
	w := newWorld(t)
	start, err := w.hubs[0].stream.Origin(within(t, 10*time.Second))
	require.NoError(t, err)
	delay := func(d func() time.Duration) {
		for _, h := range w.hubs {
			for _, p := range h.proxies {
				p.Delay(d())
			}
		}
	}
	(&clustertest.Storm{
		T: t, Seed: seed(t), Hubs: w.get, Start: start, Publishers: 8, Pushes: 15, Clients: 8, Committed: w.committed,
		Fail: func(rng *rand.Rand, calm <-chan struct{}) {
			for {
				delay(func() time.Duration { return time.Duration(rng.IntN(300)) * time.Millisecond })
				select {
				case <-calm:
					return
				case <-time.After(200 * time.Millisecond):
				}
			}
		},
		Mend: func() { delay(func() time.Duration { return 0 }) },
	}).Run()
}

// Invariants 1 and 13: a stream that was put back from a backup ends before what a hub
// has: the hub is not ready, and says why. With a new base it goes on behind all IDs that
// were given, and tells the gap.
func TestRestoredStream(t *testing.T) {
	servers := natstest.Start(t, 1)
	ctx := within(t, time.Minute)
	h := startHub(t, servers, jetstream.WithReplicas(1))
	eventually(t, func() bool { return h.get().Ready() == nil })
	var ids []uint64
	for i := range 20 {
		got, err := h.get().Publish(ctx, nil, &wire.Event{Data: fmt.Sprint(i)})
		require.NoError(t, err)
		ids = append(ids, got...)
	}
	h.get().Close()

	js, err := natsjs.New(connect(t, servers.URL()))
	require.NoError(t, err)
	st, err := js.Stream(ctx, "spate")
	require.NoError(t, err)
	config := st.CachedInfo().Config
	require.NoError(t, js.DeleteStream(ctx, "spate"))
	_, err = js.CreateStream(ctx, config)
	require.NoError(t, err)
	for range 3 { // what the backup had
		_, err := js.PublishMsg(ctx, &nats.Msg{Subject: "spate.b", Header: nats.Header{"Spate": {"1"}}, Data: []byte("old")})
		require.NoError(t, err)
	}
	h.mu.Lock()
	h.start(t)
	h.mu.Unlock()
	eventually(t, func() bool {
		err := h.get().Ready()
		return err != nil && strings.Contains(err.Error(), "the stream ends before what this hub has")
	})
	h.get().Close()
	info, err := st.Info(ctx)
	require.NoError(t, err)
	config.Metadata["spate_base"] = fmt.Sprint(time.Now().UnixNano() / 250)
	config.Metadata["spate_from"] = fmt.Sprint(info.State.LastSeq)
	_, err = js.UpdateStream(ctx, config)
	require.NoError(t, err)
	h.mu.Lock()
	h.start(t)
	h.mu.Unlock()
	eventually(t, func() bool { return h.get().Ready() == nil })
	now, err := h.get().Publish(ctx, nil, &wire.Event{Data: "new"})
	require.NoError(t, err)
	require.Greater(t, now[0], ids[len(ids)-1])
	seat, err := h.get().Seat(ctx, engine.Subscription{LastEventID: wire.FormatID(ids[5])})
	require.NoError(t, err)
	_, lost := seat.Gap()
	require.True(t, lost)
}

// A hub that starts before its servers is not ready, and is once they are there.
func TestHubBeforeItsServers(t *testing.T) {
	servers := natstest.Start(t, 1)
	servers.Kill(0)
	s, err := jetstream.New(connect(t, servers.URL()), jetstream.WithReplicas(1), jetstream.WithLogger(logger(t)))
	require.NoError(t, err)
	node := cluster.NewNode(s, cluster.WithLogger(logger(t)))
	hub := engine.NewHub(engine.WithSource(node), engine.WithLog(clustertest.NewReplica()), engine.WithEnableResendEvents(), engine.WithLogger(logger(t)))
	t.Cleanup(hub.Close)
	eventually(t, func() bool {
		err := hub.Ready()
		return err != nil && strings.Contains(err.Error(), "stream spate")
	})
	require.ErrorIs(t, hub.Push(nil, &wire.Event{Data: "x"}), engine.ErrUnready)
	servers.Start(0)
	eventually(t, func() bool { return hub.Ready() == nil })
	require.NoError(t, hub.Push(nil, &wire.Event{Data: "x"}))
}
