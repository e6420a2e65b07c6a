package interop

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sample returns the configuration that docs/operations.md prints for a proxy, between the two addresses.
func sample(t *testing.T, language, front, hub string) string {
	t.Helper()
	return sampleOf(t, language, "127.0.0.1:8000", front, hub)
}

// sampleOf is sample for the proxy that listens on an address in the document.
func sampleOf(t *testing.T, language, listens, front, hub string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	var found []string
	for _, block := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(block[1], listens) {
			found = append(found, block[1])
		}
	}
	require.Len(t, found, 1, "samples for %s", language)
	config := found[0]
	for from, to := range map[string]string{listens: front, "127.0.0.1:8080": hub} {
		require.Contains(t, config, from)
		config = strings.ReplaceAll(config, from, to)
	}
	return config
}

// proxies start a proxy from the documents' sample, to listen on front, in a folder of its own.
var proxies = map[string]func(t *testing.T, dir, front, hub string){
	"nginx": func(t *testing.T, dir, front, hub string) {
		server := strings.Replace(sample(t, "nginx", front, hub), "/etc/nginx/users.htpasswd", filepath.Join(dir, "users"), 1)
		write(t, dir, "users", "u1:{PLAIN}secret\n")
		startNginx(t, dir, server)
	},
	"haproxy": func(t *testing.T, dir, front, hub string) {
		bin := needs(t, "haproxy", "/usr/sbin/haproxy")
		write(t, dir, "haproxy.cfg", sample(t, "haproxy", front, hub))
		run(t, exec.Command(bin, "-db", "-f", filepath.Join(dir, "haproxy.cfg")))
	},
	"caddy": func(t *testing.T, dir, front, hub string) {
		bin := needs(t, "caddy")
		write(t, dir, "Caddyfile", "{\n\tadmin off\n\tauto_https off\n}\n"+sample(t, "caddyfile", front, hub))
		cmd := exec.Command(bin, "run", "--config", filepath.Join(dir, "Caddyfile"), "--adapter", "caddyfile")
		cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
		run(t, cmd)
	},
}

// startNginx starts nginx with a server.
func startNginx(t *testing.T, dir, server string) {
	t.Helper()
	bin := needs(t, "nginx", "/usr/sbin/nginx")
	write(t, dir, "nginx.conf", fmt.Sprintf(`
daemon off;
pid %[1]s/pid;
error_log stderr;
events {}
http {
	access_log off;
	gzip on;
	gzip_types text/event-stream;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
%[2]s
}
`, dir, server))
	run(t, exec.Command(bin, "-p", dir, "-c", filepath.Join(dir, "nginx.conf")))
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
}

// run keeps a proxy running until the test ends.
func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var output safeBuffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s wrote: %s", cmd.Path, &output)
		}
	})
}

// TestProxies: behind each proxy, set up as the documents say, a stream comes through event by event, uncompressed and
// unbuffered, resumes, belongs to the user whom the proxy knows whatever the client says, and breaks where the hub is
// killed.
func TestProxies(t *testing.T) {
	for name, start := range proxies {
		t.Run(name, func(t *testing.T) {
			h := startHub(t, "127.0.0.1:0", t.TempDir(), "--user-header", "X-Spate-User")
			dir, err := os.MkdirTemp(scratch, name)
			require.NoError(t, err)
			require.NoError(t, os.Chmod(dir, 0o777)) // the proxy may give up its rights
			front := freeAddress(t)
			start(t, dir, front, h.address())
			require.Eventually(t, func() bool {
				conn, err := net.Dial("tcp", front)
				if err == nil {
					conn.Close()
				}
				return err == nil
			}, patience, 10*time.Millisecond, "the proxy does not listen")
			url := "http://" + front + "/events"

			require.Equal(t, http.StatusUnauthorized, status(t, url, "", nil), "without a password")
			require.Equal(t, http.StatusBadRequest, status(t, url+"?uid=u2", "u1", nil), "another user's events by query")
			require.NotEqual(t, http.StatusOK, status(t, "http://"+front+"/stats", "u1", nil), "the hub's other routes")

			s := open(t, url, map[string]string{"X-Spate-User": "u2", "Accept-Encoding": "gzip, br, zstd"})
			require.Empty(t, s.resp.Header.Get("Content-Encoding"))
			for i := range 3 { // each arrives before the next one is pushed
				_, err := push(h.base, "u2", event{Type: "message", Data: "not for u1"})
				require.NoError(t, err)
				e, err := push(h.base, "u1", event{Type: "message", Data: fmt.Sprintf("event %d", i)})
				require.NoError(t, err)
				require.Equal(t, e, s.next(t))
			}
			first := s.seen[0]
			s.close()

			// It resumes, and an idle stream lives on comments.
			s = open(t, url, map[string]string{"Last-Event-ID": first.ID})
			require.Equal(t, "event 1", s.next(t).Data)
			require.Equal(t, "event 2", s.next(t).Data)
			s.comments(t, 3)

			h.end(syscall.SIGKILL)
			if err := s.rest(); name == "caddy" {
				require.NoError(t, err, "docs/operations.md says that Caddy hides it")
			} else {
				require.Error(t, err, "a killed hub looks like an orderly end")
			}
		})
	}
}

func request(t *testing.T, url, user string, header map[string]string) *http.Request {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	if user != "" {
		req.SetBasicAuth(user, "secret")
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	return req
}

// direct makes a connection for each request and asks for no compression by itself.
var direct = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}

func status(t *testing.T, url, user string, header map[string]string) int {
	t.Helper()
	resp, err := direct.Do(request(t, url, user, header))
	require.NoError(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

// proxied is a stream through a proxy.
type proxied struct {
	resp  *http.Response
	lines *bufio.Reader
	seen  []event
}

func open(t *testing.T, url string, header map[string]string) *proxied {
	t.Helper()
	resp, err := direct.Do(request(t, url, "u1", header))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	return &proxied{resp: resp, lines: bufio.NewReader(resp.Body)}
}

func (p *proxied) close() { p.resp.Body.Close() }

// next returns the next event.
func (p *proxied) next(t *testing.T) event {
	t.Helper()
	e := event{Type: "message"}
	for {
		line, err := p.lines.ReadString('\n')
		require.NoError(t, err)
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			e.ID = value
		case "event":
			e.Type = value
		case "data":
			e.Data = value
		case "":
			if e.Data == "" {
				continue
			}
			p.seen = append(p.seen, e)
			return e
		}
	}
}

// comments waits for n heartbeats.
func (p *proxied) comments(t *testing.T, n int) {
	t.Helper()
	for n > 0 {
		line, err := p.lines.ReadString('\n')
		require.NoError(t, err)
		if strings.HasPrefix(line, ":") {
			n--
		}
	}
}

// rest reads to the end and returns the error, nil where it is an orderly one.
func (p *proxied) rest() error {
	_, err := io.Copy(io.Discard, p.lines)
	return err
}

// TestDashboardBehindAPath: set up as the documents say, the whole hub is below a path of nginx, its page, what that loads and
// asks for, and a stream.
func TestDashboardBehindAPath(t *testing.T) {
	h := startHub(t, "127.0.0.1:0", t.TempDir())
	dir, err := os.MkdirTemp(scratch, "path")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o777))
	front := freeAddress(t)
	startNginx(t, dir, sampleOf(t, "nginx", "127.0.0.1:8001", front, h.address()))
	base := "http://" + front + "/spate"
	require.Eventually(t, func() bool {
		resp, err := http.Get(base) // the slash is added
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return err == nil && resp.StatusCode == http.StatusOK && strings.Contains(string(text), `src="ui/main.js"`)
	}, patience, 10*time.Millisecond)
	for _, path := range []string{"/ui/main.js", "/ui/worker.js", "/overview", "/openapi.json"} {
		require.Equal(t, http.StatusOK, status(t, base+path, "", nil), path)
	}

	s := open(t, base+"/events", nil)
	req, err := http.NewRequest(http.MethodPost, base+"/push", strings.NewReader(`{"events":[{"data":"by the page"}]}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", "http://"+front) // as a browser does
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "by the page", s.next(t).Data)
	s.close()
}
