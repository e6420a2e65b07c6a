package natstest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Hub is a hub as a process of its own.
type Hub struct {
	URL  string
	Data string // its folder
	args []string
	log  *os.File
	cmd  *exec.Cmd
}

// Spate builds the program spate, unless SPATETEST_BINARY names one that is there.
func Spate(t TB) string {
	t.Helper()
	if binary := os.Getenv("SPATETEST_BINARY"); binary != "" {
		return binary
	}
	binary := filepath.Join(t.TempDir(), "spate")
	build := exec.Command("go", "build", "-o", binary, "./cmd/spate")
	build.Dir = filepath.Join("..", "..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

// Hubs are the hubs of a cluster.
type Hubs struct {
	t      TB
	binary string
	Hubs   []*Hub
}

// Plan is what a hub is started with.
type Plan struct {
	Servers []string // URLs
	Data    string   // its folder
	Flags   []string
}

// StartHubs starts n hubs over the servers, with the program spate, which end with the
// test. The hubs get flags too.
func (c *Cluster) StartHubs(binary string, n int, flags ...string) *Hubs {
	dir := c.t.TempDir()
	plans := make([]Plan, n)
	for i := range plans {
		plans[i] = Plan{Data: filepath.Join(dir, fmt.Sprint("hub", i)), Flags: flags}
		for _, s := range c.Servers {
			plans[i].Servers = append(plans[i].Servers, s.URL())
		}
	}
	return StartPlanned(c.t, binary, plans)
}

// StartPlanned is StartHubs for hubs that differ.
func StartPlanned(t TB, binary string, plans []Plan) *Hubs {
	hs := &Hubs{t: t, binary: binary}
	dir := t.TempDir()
	for i, plan := range plans {
		address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
		h := &Hub{URL: "http://" + address, Data: plan.Data, args: append([]string{"serve", "--listen", address, "--data", plan.Data}, plan.Flags...)}
		for _, url := range plan.Servers {
			h.args = append(h.args, "--cluster", url)
		}
		var err error
		if h.log, err = os.Create(filepath.Join(dir, fmt.Sprintf("hub%d.log", i))); err != nil {
			t.Fatal(err)
		}
		hs.Hubs = append(hs.Hubs, h)
		t.Cleanup(func() { _ = h.log.Close() })
		t.Cleanup(func() { hs.Kill(i) })
		hs.Start(i)
	}
	hs.AwaitReady()
	return hs
}

// Start starts a hub that was killed.
func (hs *Hubs) Start(i int) {
	h := hs.Hubs[i]
	h.cmd = exec.Command(hs.binary, h.args...)
	h.cmd.Stdout, h.cmd.Stderr = h.log, h.log
	h.cmd.SysProcAttr = child()
	if err := h.cmd.Start(); err != nil {
		hs.t.Error(err)
		h.cmd = nil
	}
}

// Kill ends a hub as kill -9 does.
func (hs *Hubs) Kill(i int) {
	if h := hs.Hubs[i]; h.cmd != nil {
		_ = h.cmd.Process.Kill()
		_ = h.cmd.Wait()
		h.cmd = nil
	}
}

// PID is that of a hub that runs.
func (h *Hub) PID() int { return h.cmd.Process.Pid }

// AwaitReady waits until all hubs are ready.
func (hs *Hubs) AwaitReady() {
	for i, h := range hs.Hubs {
		for end := time.Now().Add(time.Minute); ; {
			resp, err := http.Get(h.URL + "/readyz")
			if err == nil {
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					break
				}
			}
			if time.Now().After(end) {
				text, _ := os.ReadFile(h.log.Name())
				hs.t.Fatalf("hub %d is not ready: %v: %s", i, err, text)
			}
			<-time.After(50 * time.Millisecond)
		}
	}
}
