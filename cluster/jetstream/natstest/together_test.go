package natstest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spatehub/spate/cluster/jetstream"
	"github.com/spatehub/spate/cluster/jetstream/natstest"
	"github.com/spatehub/spate/engine"
	"github.com/stretchr/testify/require"
)

// Invariants 4 and 13: what was revoked while a hub was cut off ends the user's streams
// there, and is refused there, once it hears again; also at a hub that was down, and at one
// that starts with an empty folder, though the stream of events has been made anew since.
// What is issued later is good. A hub that can't find out lets nobody in.
func TestRevocationsReachHubsThatHearLater(t *testing.T) {
	secret := strings.Repeat("s3cret-", 8)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	token := strings.Repeat("administrator-", 4)
	sum := sha256.Sum256([]byte(token))
	flags := []string{"--cluster-replicas", "1", "--jwt-secret-file", file("secret", secret), "--revocation-ttl", "1h",
		"--token-file", file("tokens", `{"tokens":[{"hash":"sha256:`+hex.EncodeToString(sum[:])+`","id":"ops","user":"ops","admin":true}]}`)}
	jwt := func(user string, issued time.Time) string {
		encode := base64.RawURLEncoding.EncodeToString
		text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(fmt.Appendf(nil, `{"sub":%q,"iat":%d,"exp":%d,"spate":{"read":[">"]}}`, user, issued.Unix(), issued.Unix()+3600))
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(text))
		return text + "." + encode(mac.Sum(nil))
	}
	admin := []string{"Authorization", "Bearer " + token}

	servers := natstest.Start(t, 1)
	way := natstest.NewProxy(t, servers.URL())
	plans := make([]natstest.Plan, 3)
	for i := range plans {
		plans[i] = natstest.Plan{Servers: []string{servers.URL()}, Data: filepath.Join(dir, fmt.Sprint("hub", i)), Flags: flags}
	}
	plans[1].Servers = []string{way.URL()}
	hubs := natstest.StartPlanned(t, natstest.Spate(t), plans)
	all := hubs.Hubs
	old := time.Now().Add(-time.Minute)
	tom, ann := jwt("tom", old), jwt("ann", old)
	status := func(hub *natstest.Hub, token string) int {
		req, err := http.NewRequest("GET", hub.URL+"/history?topic=a", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0
		}
		res.Body.Close()
		return res.StatusCode
	}
	revoke := func(user string) (unanswered []string) {
		code, ended := call[struct{ Unanswered []string }](t, "DELETE", all[0].URL+"/users/"+user, "", admin...)
		require.Equal(t, 200, code)
		return ended.Unanswered
	}
	r := listen(t, all[1], "topic=a", "Authorization", "Bearer "+tom)
	other := listen(t, all[1], "topic=a", "Authorization", "Bearer "+ann)
	require.Equal(t, 200, status(all[1], tom))

	way.Cut(true)
	hubs.Kill(2)
	require.Len(t, revoke("tom"), 2)
	require.Equal(t, 403, status(all[0], tom))
	require.Equal(t, 200, status(all[1], tom), "it has not heard")
	way.Cut(false)
	hubs.Start(2)
	require.Equal(t, engine.DisconnectEvent, r.next(t).Event)
	require.Equal(t, 403, status(all[1], tom))
	require.Equal(t, 200, status(all[1], ann))
	hubs.AwaitReady()
	require.Equal(t, 403, status(all[2], tom))
	require.Equal(t, 200, status(all[2], ann))

	js := jetStream(t, servers.URL())
	require.NoError(t, js.DeleteStream(within(t, 10*time.Second), "spate"))
	hubs.Kill(2)
	require.NoError(t, os.RemoveAll(all[2].Data))
	_, err := jetstream.Open(within(t, 10*time.Second), connect(t, servers.URL()), jetstream.WithReplicas(1))
	require.NoError(t, err)
	hubs.Start(2)
	eventually(t, func() bool { code := status(all[2], tom); return code == 403 || code == 200 })
	require.Equal(t, 403, status(all[2], tom))
	hubs.AwaitReady()
	require.Equal(t, 200, status(all[2], ann))
	require.Equal(t, engine.DisconnectEvent, other.next(t).Event, "a new stream is told of")
	eventually(t, func() bool { return status(all[2], jwt("tom", time.Now())) == 200 }) // in the next second, as JWTs count

	// Who starts and hears nothing does not know.
	hubs.Kill(1)
	way.Cut(true)
	hubs.Start(1)
	eventually(t, func() bool { return status(all[1], ann) == 503 })
	require.Equal(t, 503, status(all[1], tom))
}

// Join and leave events of processes, of which one is killed: once for the cluster.
func TestUsersOfHubsJoinAndLeaveOnce(t *testing.T) {
	servers := natstest.Start(t, 1)
	started := servers.StartHubs(natstest.Spate(t), 3, "--cluster-replicas", "1", "--presence-topic", "who")
	hubs := started.Hubs
	watch := listen(t, hubs[2], "topic=who")
	a, b := listen(t, hubs[0], "uid=tom"), listen(t, hubs[1], "uid=tom")
	require.Equal(t, engine.JoinEvent, watch.next(t).Event)
	a.cancel()
	for range a.got {
	}
	c := listen(t, hubs[0], "uid=ann")
	next := watch.next(t)
	require.Equal(t, engine.JoinEvent, next.Event)
	require.JSONEq(t, `{"uid":"ann"}`, next.Data.(string), "tom has not left")
	b.cancel()
	next = watch.next(t)
	require.Equal(t, engine.LeaveEvent, next.Event)
	require.JSONEq(t, `{"uid":"tom"}`, next.Data.(string))
	started.Kill(0)
	for range c.got {
	}
	killed := time.Now()
	for next = (<-watch.got); next.Event != engine.LeaveEvent; next = (<-watch.got) {
		require.Less(t, time.Since(killed), time.Minute)
	}
	require.JSONEq(t, `{"uid":"ann"}`, next.Data.(string))
	t.Logf("left %v after its hub was killed", time.Since(killed).Round(time.Second))
}
