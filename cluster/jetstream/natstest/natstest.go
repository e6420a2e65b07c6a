// Package natstest runs NATS servers for tests: processes of their own on loopback,
// which can be killed and stopped.
package natstest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// TB is what of testing.TB is needed.
type TB interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Error(args ...any)
	Cleanup(f func())
	TempDir() string
}

// Server is one server of a cluster.
type Server struct {
	Port, route int
	tls         bool
	config      string
	log         *os.File
	cmd         *exec.Cmd
}

// Cluster is servers that are one.
type Cluster struct {
	t       TB
	binary  string
	access  Access
	Servers []*Server
	routes  [][]*Proxy // from one server to another; nil: they reach each other without
}

// Access says who may connect, and how.
type Access struct {
	Config  string        // more of the servers' configuration
	Options []nats.Option // of a connection that is let in
	TLS     bool
	Routed  bool // the servers reach each other by proxies, which Isolate cuts
}

// build builds the server, unless SPATETEST_NATS_SERVER names one that is there.
var build = sync.OnceValues(func() (string, error) {
	if binary := os.Getenv(serverVariable); binary != "" {
		return binary, nil
	}
	dir, err := os.MkdirTemp("", "natstest")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "nats-server")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/nats-io/nats-server/v2").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return binary, nil
})

// ServerBinary is the path of the server's program, which it builds if need be. Clean
// removes it.
func ServerBinary() (string, error) { return build() }

const serverVariable = "SPATETEST_NATS_SERVER"

// Clean removes what was built for the tests of a package.
func Clean() {
	if os.Getenv(serverVariable) != "" {
		return
	}
	if binary, err := build(); err == nil {
		_ = os.RemoveAll(filepath.Dir(binary))
	}
}

// Start starts n servers with JetStream, which end with the test.
func Start(t TB, n int) *Cluster { return StartWith(t, n, Access{}) }

// StartWith is Start for servers that do not let everybody in.
func StartWith(t TB, n int, access Access) *Cluster {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{t: t, binary: binary, access: access}
	var routes []string
	for range n {
		s := &Server{Port: freePort(t), route: freePort(t), tls: access.TLS}
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", s.route))
		c.Servers = append(c.Servers, s)
	}
	dir := t.TempDir()
	if access.Routed {
		c.route()
	}
	for i, s := range c.Servers {
		text := fmt.Sprintf("listen: \"127.0.0.1:%d\"\nserver_name: n%d\njetstream { store_dir: %q, max_file_store: 4GB }\n", s.Port, i, filepath.Join(dir, fmt.Sprint("js", i)))
		if n > 1 {
			text += fmt.Sprintf("cluster { name: test, listen: \"127.0.0.1:%d\", %s }\n", s.route, c.ways(i, routes))
		}
		text += access.Config
		s.config = filepath.Join(dir, fmt.Sprintf("n%d.conf", i))
		if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s.log, err = os.Create(filepath.Join(dir, fmt.Sprintf("n%d.log", i))); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.log.Close() })
		t.Cleanup(func() { c.Kill(i) })
		c.Start(i)
	}
	c.awaitReady(n)
	return c
}

// route puts proxies between the servers.
func (c *Cluster) route() {
	for i := range c.Servers {
		c.routes = append(c.routes, make([]*Proxy, len(c.Servers)))
		for k, to := range c.Servers {
			if k != i {
				c.routes[i][k] = NewProxy(c.t, fmt.Sprintf("127.0.0.1:%d", to.route))
			}
		}
	}
}

// ways is how a server finds the others. Where there are proxies it tells nobody another
// way: neither servers nor clients.
func (c *Cluster) ways(i int, direct []string) string {
	if c.routes == nil {
		return fmt.Sprintf("routes: [%s]", strings.Join(direct, ", "))
	}
	var ways []string
	for _, p := range c.routes[i] {
		if p != nil {
			ways = append(ways, p.URL())
		}
	}
	return fmt.Sprintf("routes: [%s], advertise: \"127.0.0.1:1\", no_advertise: true", strings.Join(ways, ", "))
}

// Isolate cuts a server off from the others, or connects it again: it and its clients
// reach each other all the time. The servers have to be Routed.
func (c *Cluster) Isolate(i int, cut bool) {
	for k := range c.Servers {
		if k != i {
			c.routes[i][k].Cut(cut)
			c.routes[k][i].Cut(cut)
		}
	}
}

func freePort(t TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// awaitReady waits until the servers have a leader and take streams.
func (c *Cluster) awaitReady(replicas int) {
	nc, err := nats.Connect(c.URL(), append(c.access.Options, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.IgnoreAuthErrorAbort())...)
	if err != nil {
		c.t.Fatal(err)
	}
	defer nc.Close()
	for end := time.Now().Add(30 * time.Second); ; {
		request := fmt.Sprintf(`{"name":"PROBE","subjects":["probe"],"num_replicas":%d}`, replicas)
		m, err := nc.Request("$JS.API.STREAM.CREATE.PROBE", []byte(request), time.Second)
		if m == nil {
			m = &nats.Msg{}
		}
		if err == nil && !strings.Contains(string(m.Data), `"error"`) {
			_, _ = nc.Request("$JS.API.STREAM.DELETE.PROBE", nil, time.Second)
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("the servers take no stream: %v %s", err, m.Data)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// URL lists the servers.
func (c *Cluster) URL() string {
	urls := make([]string, len(c.Servers))
	for i, s := range c.Servers {
		urls[i] = s.URL()
	}
	return strings.Join(urls, ",")
}

// URL is the server's address.
func (s *Server) URL() string {
	if s.tls {
		return fmt.Sprintf("tls://127.0.0.1:%d", s.Port)
	}
	return fmt.Sprintf("nats://127.0.0.1:%d", s.Port)
}

// Start starts a server that was killed.
func (c *Cluster) Start(i int) {
	s := c.Servers[i]
	s.cmd = exec.Command(c.binary, "-c", s.config)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.SysProcAttr = child()
	if err := s.cmd.Start(); err != nil {
		c.t.Error(err)
		s.cmd = nil
	}
}

// Kill ends a server as kill -9 does.
func (c *Cluster) Kill(i int) {
	if s := c.Servers[i]; s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Halt stops a server, or lets it go on: all its peers hear nothing of it meanwhile, and
// it nothing of them.
func (c *Cluster) Halt(i int, halt bool) {
	if s := c.Servers[i]; s.cmd != nil {
		signal := syscall.SIGCONT
		if halt {
			signal = syscall.SIGSTOP
		}
		_ = s.cmd.Process.Signal(signal)
	}
}
