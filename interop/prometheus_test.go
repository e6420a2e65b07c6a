package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPrometheus: each query of the Grafana board, and each alert's expression, works on a Prometheus that scrapes a hub
// under load: a query of the board gives a number, and no alert fires.
func TestPrometheus(t *testing.T) {
	bin := needs(t, "prometheus")
	h := startHub(t, "127.0.0.1:0", t.TempDir(), "--demo", "--stall-timeout", "0", "--retain-bytes", "50MB")
	load(t, h)
	prom := startPrometheus(t, bin, h.address())

	queries := boardQueries(t)
	require.Greater(t, len(queries), 20)
	deadline := time.Now().Add(patience)
	for _, q := range queries {
		for {
			values, err := prom.query(q)
			require.NoError(t, err, q)
			if finite(values) {
				break
			}
			require.Truef(t, time.Now().Before(deadline), "no number from %s: %v", q, values)
			time.Sleep(100 * time.Millisecond)
		}
	}
	firing, err := prom.query(`ALERTS{alertstate="firing"}`)
	require.NoError(t, err)
	require.Empty(t, firing, "an alert fires beside a healthy hub")
	require.Equal(t, 0, prom.unhealthyRules(t))
}

// TestAlertRules runs the alerts' unit tests, and the checks that promtool has for rules and metrics.
func TestAlertRules(t *testing.T) {
	bin := needs(t, "promtool")
	out, err := exec.Command(bin, "test", "rules", "../docs/alerts_test.yml").CombinedOutput()
	require.NoError(t, err, "%s", out)

	h := startHub(t, "127.0.0.1:0", t.TempDir())
	resp, err := http.Get(h.base + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	check := exec.Command(bin, "check", "metrics")
	check.Stdin = resp.Body
	out, err = check.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// load keeps some streams and pushes going until the test ends: connections that follow, that resume and go, and one that
// does not read.
func load(t *testing.T, h *hub) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	stream := func(query string) {
		req, err := http.NewRequestWithContext(ctx, "GET", h.base+"/events?"+query, nil)
		if err != nil {
			return
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	for i := range 5 {
		go stream(fmt.Sprintf("topic=cpu&uid=u%d", i))
	}
	stuck, err := net.Dial("tcp", h.address())
	require.NoError(t, err)
	_, err = io.WriteString(stuck, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	go func() {
		defer close(done)
		defer stuck.Close()
		for ctx.Err() == nil {
			_, _ = push(h.base, "", event{Data: strings.Repeat("x", 100_000)})
			e, _ := push(h.base, "", event{Data: "y"})
			_, _ = push(h.base, "", event{Data: "z"})
			short, end := context.WithTimeout(ctx, 50*time.Millisecond)
			if req, err := http.NewRequestWithContext(short, "GET", h.base+"/events?last_event_id="+e.ID, nil); err == nil {
				if resp, err := http.DefaultClient.Do(req); err == nil { // resumes, and goes
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
			end()
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// boardQueries are the queries of docs/grafana/spate.json, with what Grafana fills in.
func boardQueries(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/grafana/spate.json")
	require.NoError(t, err)
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &board))
	fill := strings.NewReplacer("$__rate_interval", "5s", "$job", ".*", "$instance", ".*")
	var queries []string
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			q := fill.Replace(target.Expr)
			require.NotContains(t, q, "$", p.Title)
			queries = append(queries, q)
		}
	}
	return queries
}

// prometheus is a Prometheus' process.
type prometheus struct{ base string }

// startPrometheus starts one that scrapes the hub, with the alerts of docs/alerts.yml.
func startPrometheus(t *testing.T, bin, target string) prometheus {
	t.Helper()
	rules, err := filepath.Abs("../docs/alerts.yml")
	require.NoError(t, err)
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: spate
    static_configs: [{targets: [%q]}]
`, rules, target), 0o600))
	address := freeAddress(t)
	var out safeBuffer
	cmd := exec.Command(bin, "--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address)
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	p := prometheus{"http://" + address}
	require.Eventually(t, func() bool {
		resp, err := http.Get(p.base + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, patience, 100*time.Millisecond, "Prometheus did not start: %s", &out)
	return p
}

// query returns the values of an instant query.
func (p prometheus) query(q string) ([]string, error) {
	var reply struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := p.get("/api/v1/query?query="+url.QueryEscape(q), &reply); err != nil {
		return nil, err
	}
	var values []string
	for _, r := range reply.Data.Result {
		values = append(values, fmt.Sprint(r.Value[1]))
	}
	return values, nil
}

// unhealthyRules is how many rules could not be evaluated.
func (p prometheus) unhealthyRules(t *testing.T) (n int) {
	t.Helper()
	var reply struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health string }
			}
		}
	}
	require.Eventually(t, func() bool {
		require.NoError(t, p.get("/api/v1/rules", &reply))
		for _, g := range reply.Data.Groups {
			for _, r := range g.Rules {
				if r.Health == "unknown" { // not yet evaluated
					return false
				}
			}
		}
		return len(reply.Data.Groups) > 0
	}, patience, 100*time.Millisecond)
	for _, g := range reply.Data.Groups {
		for _, r := range g.Rules {
			if r.Health != "ok" {
				t.Logf("%s: %s", r.Name, r.Health)
				n++
			}
		}
	}
	return n
}

func (p prometheus) get(path string, into any) error {
	resp, err := http.Get(p.base + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, body)
	}
	return json.Unmarshal(body, into)
}

// finite reports whether there is a value that is a number. Of classes, not each may have one all the time.
func finite(values []string) bool {
	for _, v := range values {
		if v != "NaN" && !strings.HasSuffix(v, "Inf") {
			return true
		}
	}
	return false
}
