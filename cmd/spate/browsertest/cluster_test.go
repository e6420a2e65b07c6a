package browsertest_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// natsServer builds the server of the cluster's tests, once. SPATETEST_NATS_SERVER names one that is built already.
var natsServer = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("SPATETEST_NATS_SERVER"); bin != "" {
		return bin, nil
	}
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "nats-server")
	cmd := exec.Command("go", "build", "-o", bin, "github.com/nats-io/nats-server/v2")
	cmd.Dir = filepath.Join("..", "..", "..", "cluster", "jetstream", "natstest")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

// startNATS starts a NATS server with JetStream and returns its URL.
func startNATS(t *testing.T) string {
	t.Helper()
	bin, err := natsServer()
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	config := filepath.Join(t.TempDir(), "nats.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "listen: %q\njetstream { store_dir: %q }\n", address, t.TempDir()), 0o600))
	cmd := exec.Command(bin, "-c", config)
	out := &safeBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the NATS server wrote: %s", out)
		}
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, patience, 10*time.Millisecond, "the NATS server does not listen")
	return "nats://" + address
}

// TestTheClusterIsShown: all hubs as they are, with their connections and how far each is behind; one that stops or dies is
// said not to answer, and what it said last is left.
func TestTheClusterIsShown(t *testing.T) {
	axe := ""
	t.Run("axe", func(t *testing.T) { axe = findAxe(t) }) // skipped where there is none
	inBrowsers(t, func(t *testing.T, open func() tab) {
		url := startNATS(t)
		hubs := map[string]*hub{}
		for _, name := range []string{"anna", "bert", "carl"} {
			hubs[name] = startPlain(t, "--cluster", url, "--cluster-replicas", "1", "--cluster-name", name)
		}
		page := open()
		page.navigate(t, hubs["anna"].base+"/#cluster")
		await(t, page, shown("cluster"))
		// row is the cells of a hub's row, which is not there yet, or not any more, where it is empty.
		row := func(hub string) string {
			return fmt.Sprintf(`[...document.querySelectorAll('[data-view="cluster"] table.list tbody tr')]
				.filter((tr) => tr.cells[0].textContent.startsWith(%q)).map((tr) => ["hub", "ready", "clients", "lag"].map((c) => tr.querySelector("td." + c).textContent).join()).join("; ")`, hub)
		}
		is := func(hub, cells string) string { return fmt.Sprintf(`%s === %q`, row(hub), cells) }
		await(t, page, live)
		connect(t, hubs["bert"], 3, "topic=a")
		connect(t, hubs["carl"], 1, "topic=a")
		await(t, page, is("anna", "anna (this one),yes,1,none")+` && `+is("bert", "bert,yes,3,none")+` && `+is("carl", "carl,yes,1,none"))
		require.Regexp(t, `^5 connections at all hubs that answer\.`, get[string](t, page, `document.querySelector('[data-view="cluster"] .note').textContent`))
		pushMany(t, hubs["bert"], 50, "a")
		newest := fmt.Sprint(stats(t, hubs["bert"].base)["position"])
		// All have got there, or further: a hub that finds out whether it is cut off makes holes.
		await(t, page, fmt.Sprintf(`((at) => at.length === 3 && at.every((p) => BigInt(p) >= %sn))([...document.querySelectorAll('[data-view="cluster"] table.list td.position')].map((td) => td.textContent))`, newest))
		await(t, page, `document.querySelector('[data-view="cluster"] table.plain').textContent.includes("Takes streams and pushesyes")`)

		// One that does not get on keeps what it said last, and is behind by what came since.
		require.NoError(t, hubs["carl"].cmd.Process.Signal(syscall.SIGSTOP))
		t.Cleanup(func() { _ = hubs["carl"].cmd.Process.Signal(syscall.SIGCONT) })
		pushMany(t, hubs["anna"], 20, "a")
		await(t, page, fmt.Sprintf(`/^carl,does not answer,1,\d+ IDs$/.test(%s) && %s`, row("carl"), is("bert", "bert,yes,3,none")))
		behind := get[int](t, page, fmt.Sprintf(`Number(%s.split(",")[3].split(" ")[0])`, row("carl")))
		require.GreaterOrEqual(t, behind, 20)
		if _, chromium := page.(*chromiumTab); chromium && axe != "" {
			page.eval(t, axe+"; null", nil)
			require.Empty(t, get[[]string](t, page, runAxe))
		}
		require.NoError(t, hubs["carl"].cmd.Process.Signal(syscall.SIGCONT))
		await(t, page, is("carl", "carl,yes,1,none"))

		// One that is killed does not answer, and does not count any more.
		require.Error(t, hubs["bert"].end(syscall.SIGKILL))
		await(t, page, fmt.Sprintf(`/^(bert,does not answer,.*)?$/.test(%s)`, row("bert")))
		await(t, page, `/^2 connections at all hubs/.test(document.querySelector('[data-view="cluster"] .note').textContent)`)
		await(t, page, is("carl", "carl,yes,1,none"))
	})
}
