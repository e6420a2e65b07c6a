package natstest_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spatehub/spate/cluster/jetstream/natstest"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// composeFile is what of packaging/compose-cluster.yml decides how the programs run.
type composeFile struct {
	Services map[string]struct {
		Command     []string
		Environment map[string]string
	}
}

// TestComposeOfACluster: the programs of the compose file, started with the settings that it has, are one hub: what is
// pushed at one is in the history of each. Only names and ports are others, and docker itself is not tried.
func TestComposeOfACluster(t *testing.T) {
	text, err := os.ReadFile("../../../packaging/compose-cluster.yml")
	require.NoError(t, err)
	var file composeFile
	require.NoError(t, yaml.Unmarshal(text, &file))
	require.Len(t, file.Services, 6)
	server, err := natstest.ServerBinary()
	require.NoError(t, err)
	spate, dir := natstest.Spate(t), t.TempDir()

	var line strings.Builder // of the tokens' file
	making := exec.Command(spate, "token")
	making.Stderr = &line
	made, err := making.Output()
	require.NoError(t, err)
	token, entry := strings.TrimSpace(string(made)), line.String()[strings.Index(line.String(), "{"):]
	tokens := filepath.Join(dir, "tokens.json")

	ports := map[string]string{}
	var names []string
	for i := range 3 {
		for _, port := range []string{"4222", "6222"} {
			name := fmt.Sprintf("nats%d:%s", i+1, port)
			ports[name] = freeAddress(t)
			names = append(names, name, ports[name])
		}
	}
	replace := strings.NewReplacer(names...)
	for i := range 3 {
		name := fmt.Sprint("nats", i+1)
		args := append([]string(nil), file.Services[name].Command...)
		_, port, _ := net.SplitHostPort(ports[name+":4222"])
		for k, a := range args {
			switch {
			case a == "4222":
				args[k] = port
			case a == "/data":
				args[k] = filepath.Join(dir, name)
			default:
				args[k] = replace.Replace(strings.ReplaceAll(a, "0.0.0.0:6222", ports[name+":6222"]))
			}
		}
		run(t, filepath.Join(dir, name+".log"), nil, server, append(args, "-a", "127.0.0.1")...)
	}

	require.NoError(t, os.WriteFile(tokens, []byte(entry), 0o600))
	var hubs []string
	for i := range 3 {
		name, address := fmt.Sprint("hub", i+1), freeAddress(t)
		env := []string{"SPATE_DATA=" + filepath.Join(dir, name)}
		for k, v := range file.Services[name].Environment {
			env = append(env, k+"="+replace.Replace(v))
		}
		args := append([]string(nil), file.Services[name].Command...)
		for k := range args {
			args[k] = strings.NewReplacer("0.0.0.0:8080", address, "/run/secrets/tokens", tokens).Replace(args[k])
		}
		run(t, filepath.Join(dir, name+".log"), env, spate, args...)
		hubs = append(hubs, "http://"+address)
	}
	for _, hub := range hubs {
		require.Eventually(t, func() bool { return exec.Command(spate, "health", "--ready", "--url", hub).Run() == nil },
			time.Minute, 100*time.Millisecond, "%s is not ready", hub)
	}
	res, err := http.Get(hubs[0] + "/history")
	require.NoError(t, err)
	res.Body.Close()
	require.Equal(t, http.StatusUnauthorized, res.StatusCode, "without a token")
	as := []string{"Authorization", "Bearer " + token}
	for _, hub := range hubs {
		status, answer := call[struct{ IDs []string }](t, "POST", hub+"/push", `{"events":[{"data":"of one"}]}`, as...)
		require.Equal(t, http.StatusOK, status)
		require.Len(t, answer.IDs, 1)
		for _, other := range hubs {
			require.Eventually(t, func() bool {
				req, _ := http.NewRequest("GET", other+"/history?after=earliest", nil)
				req.Header.Set(as[0], as[1])
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					return false
				}
				defer res.Body.Close()
				page, _ := io.ReadAll(res.Body)
				return strings.Contains(string(page), answer.IDs[0])
			}, time.Minute, 50*time.Millisecond, "%s has what was pushed at %s", other, hub)
		}
	}
}

// run starts a program that ends with the test.
func run(t *testing.T, log string, env []string, program string, args ...string) {
	t.Helper()
	out, err := os.Create(log)
	require.NoError(t, err)
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = out.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log)
			t.Logf("%s: %s", filepath.Base(log), text)
		}
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
