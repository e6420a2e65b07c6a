package realtest_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/mercure"
	"github.com/gin-gonic/gin"
	"github.com/go-dev-frame/sponge/pkg/sse"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/spatehub/spate/internal/others"
)

// page is where the recipes stand.
const page = "../../docs/loadtest.md"

// recipe returns the flags of the command that docs/loadtest.md has for an adapter.
func recipe(t *testing.T, adapter string) []string {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, block := range regexp.MustCompile("(?s)```sh\n(go run ./loadtest run .*?)```").FindAllStringSubmatch(string(text), -1) {
		command := strings.ReplaceAll(block[1], "\\\n", " ")
		if strings.Contains(command, "-adapter "+adapter+" ") {
			var words []string
			for _, w := range strings.Fields(command)[4:] {
				words = append(words, strings.Trim(w, "'"))
			}
			return words
		}
	}
	require.Fail(t, "no recipe", adapter)
	return nil
}

// block returns the configuration that follows a mark in docs/loadtest.md.
func block(t *testing.T, mark string) string {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), mark)
	require.True(t, found, mark)
	_, rest, _ = strings.Cut(rest, "```")
	_, rest, _ = strings.Cut(rest, "\n")
	body, _, _ := strings.Cut(rest, "```")
	return body
}

// run conducts an adapter's recipe for two seconds against a server at url.
func run(t *testing.T, adapter, url string, more ...string) {
	tool := filepath.Join(t.TempDir(), "loadtest")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", tool, "./loadtest")
	build.Dir = "../.."
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	args := append([]string{"run"}, recipe(t, adapter)...)
	for i := range args {
		if args[i] == "-url" {
			args[i+1] = url
		}
	}
	args = append(args, "-streams", "20", "-rate", "100/s", "-duration", "2s", "-drain", "5s", "-quiet", "-max-lag", "0", "-max-busy", "0",
		"-expect", "errors==0", "-expect", "failed==0", "-expect", "published==200", "-expect", "corrupt==0", "-expect", "misaddressed==0")
	cmd := exec.CommandContext(t.Context(), tool, append(args, more...)...)
	out, err = cmd.CombinedOutput()
	require.NoError(t, err, "loadtest %s\n%s", strings.Join(cmd.Args[1:], " "), out)
	t.Logf("%s", out)
}

// free returns an address that nobody listens at.
func free(t *testing.T) string {
	port, err := others.FreePort()
	require.NoError(t, err)
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// start runs a server as a process until the test ends, and waits until it listens at addr.
func start(t *testing.T, addr, name string, args ...string) {
	cmd := exec.Command(name, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	if err := others.AwaitListen(addr, 30*time.Second, ended); err != nil {
		require.NoError(t, err, "%s", &out)
	}
}

// TestMercure: with its log in Bolt, nothing is lost while streams come and go.
func TestMercure(t *testing.T) {
	flags := recipe(t, "mercure")
	key := ""
	for i, f := range flags {
		if f == "-push-key" {
			key = flags[i+1]
		}
	}
	quiet := slog.New(slog.DiscardHandler)
	store, err := mercure.NewBoltTransport(mercure.NewSubscriberList(1000), quiet, filepath.Join(t.TempDir(), "log.db"), "", 0, 0)
	require.NoError(t, err)
	hub, err := mercure.NewHub(context.Background(), mercure.WithTransport(store), mercure.WithLogger(quiet),
		mercure.WithPublisherJWT([]byte(key), "HS256"), mercure.WithSubscriberJWT([]byte(key), "HS256"))
	require.NoError(t, err)
	srv := httptest.NewServer(hub)
	defer srv.Close()
	run(t, "mercure", srv.URL, "-expect", "lost==0", "-expect", "resumed>0")
}

// TestSeed: the library that spate grew from. It promises no order.
func TestSeed(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	hub := sse.NewHub(sse.WithLogger(zap.NewNop()))
	defer hub.Close()
	r := gin.New()
	r.GET("/events", func(c *gin.Context) { hub.Serve(c, c.Query("uid")) })
	r.POST("/push", hub.PushEventHandler())
	srv := httptest.NewServer(r)
	defer srv.CloseClientConnections()
	// The hub takes the end of the stream that tries the URL for the end of the next one of the same user.
	run(t, "sponge", srv.URL, "-expect", "lost==0", "-try=false")
}

// TestNchan: nginx with Debian's module, and the configuration of the page.
func TestNchan(t *testing.T) {
	nginx, err := others.Nchan()
	if err != nil {
		t.Skip(err)
	}
	dir, addr := t.TempDir(), free(t)
	conf := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(conf, []byte(others.NginxConf(dir, addr, "", block(t, "**nchan**"))), 0o600))
	start(t, addr, nginx, "-p", dir, "-c", conf)
	run(t, "nchan", "http://"+addr, "-expect", "lost==0", "-expect", "resumed>0")
}

// TestCentrifugo: the server's release, built from the module proxy, with the configuration of the page. The build takes
// minutes, so it is for those who have it: make bench-peers-servers.
func TestCentrifugo(t *testing.T) {
	bin, err := others.Centrifugo()
	if err != nil {
		t.Skip(err)
	}
	dir, addr := t.TempDir(), free(t)
	_, port, _ := net.SplitHostPort(addr)
	conf := filepath.Join(dir, "config.json")
	text := strings.Replace(block(t, "**Centrifugo**"), `"port": 8000`, `"port": `+port, 1)
	require.NoError(t, os.WriteFile(conf, []byte(text), 0o600))
	start(t, addr, bin, "-c", conf)
	run(t, "centrifugo", "http://"+addr, "-expect", "lost==0", "-topics", "5", "-to", "broadcast=1,users=2,topics=2", "-batch", "10")
}
