package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spatehub/spate/engine"
	"github.com/spatehub/spate/loadtest/internal/calibrate"
	"github.com/spatehub/spate/loadtest/internal/cli"
	"github.com/spatehub/spate/loadtest/internal/report"
	"github.com/spatehub/spate/serve/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) } // the hub of a test brings a pool that lives for ever

// command runs a command line.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cli.Main(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// short makes a run of a fraction of a second.
func short(url string, more ...string) []string {
	return append([]string{"run", "-url", url, "-streams", "5", "-rate", "1000/s", "-events", "50", "-settle", "0s",
		"-interval", "100ms", "-drain", "600ms", "-max-lag", "0", "-max-busy", "0", "-connect-timeout", "2s"}, more...)
}

func serve(t *testing.T, f calibrate.Faults) string {
	srv := httptest.NewServer(calibrate.New(f))
	t.Cleanup(srv.Close)
	return srv.URL
}

// A run leaves JSON and a page, which report and compare show again.
func TestRunReportCompare(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	url := serve(t, calibrate.Faults{})
	for _, name := range []string{"a", "b"} {
		code, out, errs := command(t, short(url, "-json", file(name+".json"), "-html", file(name+".html"), "-name", name,
			"-expect", "lost==0", "-expect", "deliveries==250")...)
		require.Equal(t, report.ExitOK, code, errs)
		require.Contains(t, out, "nothing lost, doubled, out of order or misaddressed")
		require.Contains(t, out, "held")
		require.Contains(t, errs, "publish", "the plain view has a line for each interval")
	}
	code, out, errs := command(t, "report", file("a.json"), "-html", file("again.html"))
	require.Equal(t, report.ExitOK, code, errs)
	require.Contains(t, out, "250 of 250 expected")
	page, err := os.ReadFile(file("a.html"))
	require.NoError(t, err)
	again, err := os.ReadFile(file("again.html"))
	require.NoError(t, err)
	require.Equal(t, pageTitle(page), pageTitle(again))

	code, out, errs = command(t, "compare", file("a.json"), file("b.json"), "-html", file("both.html"))
	require.Equal(t, report.ExitOK, code, errs)
	require.Contains(t, out, "deliveries/s")
	require.Contains(t, out, "×")
	both, err := os.ReadFile(file("both.html"))
	require.NoError(t, err)
	for _, p := range [][]byte{page, both} {
		require.Contains(t, string(p), "<svg")
		// Self-contained: nothing is loaded from anywhere.
		for _, tag := range []string{"<script", "<link", "<img", "src=", "@import", "url("} {
			require.NotContains(t, string(p), tag)
		}
	}
}

func pageTitle(page []byte) string {
	_, rest, _ := strings.Cut(string(page), "<title>")
	title, _, _ := strings.Cut(rest, "</title>")
	return title
}

func TestJSONOnStandardOutput(t *testing.T) {
	code, out, errs := command(t, short(serve(t, calibrate.Faults{}), "-json", "-", "-quiet")...)
	require.Equal(t, report.ExitOK, code)
	var r report.Result
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.EqualValues(t, 250, r.Deliveries.Count)
	require.EqualValues(t, 250, r.Histograms.Latency.Count())
	require.Contains(t, errs, "deliveries", "the table goes elsewhere")
	require.NotContains(t, out, "secret")
}

func TestExitCodes(t *testing.T) {
	url := serve(t, calibrate.Faults{Drop: 5})
	code, out, _ := command(t, short(url, "-expect", "lost==0")...)
	require.Equal(t, report.ExitUnexpected, code)
	require.Contains(t, out, "FAILED")
	require.Contains(t, out, "lost==0 (50)")

	code, out, _ = command(t, short(url, "-max-lag", "1ns")...)
	require.Equal(t, report.ExitInvalid, code)
	require.Contains(t, out, "INVALID RUN")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var discard bytes.Buffer
	require.Equal(t, report.ExitInterrupted, cli.Main(ctx, short(url), &discard, &discard))
}

// Every way to get it wrong ends with exit code 2 and a sentence that says what
// to do.
func TestErrorsSayWhatToDo(t *testing.T) {
	answer := func(h http.HandlerFunc) string {
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		return srv.URL
	}
	status := func(code int) string {
		return answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	tlsServer := httptest.NewTLSServer(calibrate.New(calibrate.Faults{}))
	t.Cleanup(tlsServer.Close)
	tlsServer.Config.ErrorLog = nil
	noPush := answer(calibrate.New(calibrate.Faults{GatePush: func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "who are you", http.StatusUnauthorized)
		return true
	}}).ServeHTTP)
	noPushPath := answer(calibrate.New(calibrate.Faults{GatePush: func(w http.ResponseWriter, r *http.Request) bool {
		http.NotFound(w, r)
		return true
	}}).ServeHTTP)
	good := serve(t, calibrate.Faults{})
	for _, x := range []struct {
		args []string
		want string
	}{
		{nil, "conduct a test"},
		{[]string{"start"}, "it is run, check, agent, report or compare"},
		{[]string{"run", "-treams", "5"}, "loadtest run -h lists the flags"},
		{short(good, "-adapter", "mercure", "-push-key", "k", "-batch", "5"), "takes one event in a request"},
		{short(good, "-push-body", "x"), "-push-body is for -adapter template"},
		{short(good, "-sub-key", "x"), "-sub-key is for -adapter mercure"},
		{short(good, "-silence", "1s"), "-silence watches deployments that publish by themselves"},
		{short(good, "-finite"), "use -adapter none"},
		{short(good, "-end-marker", "x"), "add -finite"},
		{short(good, "-streams-per-connection", "2"), "-http2"},
		{short(good, "-adapter", "none", "-finite", "-think", "3s-1s"), "two such as 1s-5s"},
		{short(good, "-adapter", "none", "-finite", "-arrivals", "max"), "leave -arrivals away"},
		{short(good, "-adapter", "none", "-time-from", "$.ts"), "json:$.path"},
		{short(good, "-adapter", "none", "-time-from", "data", "-time-format", "soon"), "rfc3339"},
		{short(good, "-repeat", "0"), "give 1 to 1000"},
		{short(good, "-repeat", "2", "-run-id", "5"), "an ID of its own"},
		{short(good, "-data", "cli_test.go"), "cli_test.go"},
		{[]string{"run", "http://127.0.0.1"}, "run takes flags only"},
		{[]string{"run"}, "give the stream's"},
		{[]string{"run", "-url", "127.0.0.1:80"}, "begin with http://"},
		{[]string{"run", "-churn", "5"}, "share such as 5%"},
		{[]string{"run", "-storm", "soon"}, "10s:50%"},
		{[]string{"run", "-tokens", "/no/such/file"}, "no such file"},
		{[]string{"run", "-source", "127.0.0.9-127.0.0.1"}, "range"},
		{short(good, "-expect", "p99<fast"), "a duration such as 50ms"},
		{short(good, "-expect", "speed>9"), `no figure "speed"`},
		{short(good, "-rate", "fast"), "write for example"},
		{short(good, "-json", "/no/such/folder/x.json"), "could not be written"},
		{short(good, "-streams", "900000"), "-procs"},
		{short(good, "-server-pid", "999999999"), "no such process"},
		{short(good, "-server-metrics", good), "-server-metrics"},
		{short(closed.URL), "nothing listens there"},
		{short(status(401)), "-bearer"},
		{short(status(404)), "name the path"},
		{short(status(429)), "limits connections"},
		{short(status(500)), "instead of 200"},
		{short(answer(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) })), "follow no redirects"},
		{short(answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })), "not text/event-stream"},
		{short(answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), "-connect-timeout", "200ms"), "no answer within"},
		{short(tlsServer.URL), "-cacert"},
		{short(strings.Replace(good, "http", "https", 1)), "use http://"},
		{short(noPush), "-push-key"},
		{short(noPushPath), "-push-url"},
		{short(good, "-push-url", closed.URL+"/push"), "does the server listen there"},
		{[]string{"report"}, "report takes one result"},
		{[]string{"report", "cli_test.go"}, "is no result of a run"},
		{[]string{"compare", "one.json"}, "two results or more"},
	} {
		code, _, errs := command(t, x.args...)
		require.Equal(t, report.ExitUsage, code, "%v", x.args)
		require.Contains(t, errs, x.want, "%v", x.args)
		if len(x.args) > 0 {
			require.Less(t, strings.Count(errs, "\n"), 8, "an error is no page of usage: %v", x.args)
		}
	}
}

// A gate: runs repeated, compared with a tolerance, with files for the CI system.
func TestRepeatAndTolerance(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	good, bad := serve(t, calibrate.Faults{}), serve(t, calibrate.Faults{Drop: 5})
	for name, url := range map[string]string{"a.json": good, "b.json": bad} {
		code, out, errs := command(t, short(url, "-json", file(name), "-repeat", "4", "-quiet", "-junit", file("junit.xml"), "-markdown", file("sum.md"))...)
		require.Equal(t, report.ExitOK, code, errs)
		require.Contains(t, out, "4 runs:")
		require.Contains(t, errs, "run 4 of 4")
	}
	s, err := report.ReadSeries(file("a.json"))
	require.NoError(t, err)
	require.Len(t, s, 4)
	text, err := os.ReadFile(file("junit.xml"))
	require.NoError(t, err)
	require.Equal(t, 4, strings.Count(string(text), "<testsuite "))
	code, out, _ := command(t, "report", file("a.json"))
	require.Equal(t, report.ExitOK, code)
	require.Contains(t, out, "4 runs:")

	code, out, _ = command(t, "compare", file("a.json"), file("b.json"), "-tolerance", "lost=1%", "-tolerance", "streams=0", "-junit", file("cmp.xml"), "-markdown", file("cmp.md"), "-html", file("cmp.html"))
	require.Equal(t, report.ExitUnexpected, code)
	require.Contains(t, out, "WORSE      lost=1% (0 → 50")
	require.Contains(t, out, "tolerated  streams=0")
	require.Contains(t, out, "worse")
	code, _, _ = command(t, "compare", file("b.json"), file("a.json"), "-tolerance", "lost=1%")
	require.Equal(t, report.ExitOK, code, "better is no regression")
	code, _, errs := command(t, "compare", file("a.json"), file("b.json"), "-tolerance", "lost")
	require.Equal(t, report.ExitUsage, code)
	require.Contains(t, errs, "-tolerance")
}

// A run that cannot start leaves no file, and none of an earlier run changed.
func TestNoFilesOfRunsThatDidNotStart(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	dir := t.TempDir()
	old := filepath.Join(dir, "old.json")
	require.NoError(t, os.WriteFile(old, []byte("before"), 0o600))
	code, _, _ := command(t, short(closed.URL, "-json", old, "-html", filepath.Join(dir, "new.html"))...)
	require.Equal(t, report.ExitUsage, code)
	text, err := os.ReadFile(old)
	require.NoError(t, err)
	require.Equal(t, "before", string(text))
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func TestHelp(t *testing.T) {
	code, out, _ := command(t, "help")
	require.Equal(t, report.ExitOK, code)
	require.Contains(t, out, "Exit codes")
	code, _, errs := command(t, "run", "-h")
	require.Equal(t, report.ExitOK, code)
	require.Contains(t, errs, "-streams")
}

// Streams move between servers that are one, and have every event once: here a hub that
// is reached at two addresses.
func TestMove(t *testing.T) {
	hub := engine.NewHub(engine.WithEnableResendEvents())
	t.Cleanup(hub.Close)
	mux := http.NewServeMux()
	var first, second atomic.Int64
	mux.Handle("POST /push", stream.PushHandler(hub))
	events := stream.Handler(hub, func(r *http.Request) (string, []string, error) { return r.URL.Query().Get("uid"), nil, nil })
	at := func(count *atomic.Int64) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				count.Add(1)
				events.ServeHTTP(w, r)
				return
			}
			mux.ServeHTTP(w, r)
		}))
		t.Cleanup(srv.Close)
		t.Cleanup(hub.Close) // before the server waits for its streams
		return srv.URL
	}
	url := at(&first) + "," + at(&second)
	code, out, errs := command(t, "run", "-url", url, "-streams", "100", "-connect-rate", "1000", "-rate", "50/s", "-duration", "2s", "-settle", "0s",
		"-move", "100%", "-drain", "5s", "-max-lag", "0", "-max-busy", "0", "-expect", "lost==0", "-expect", "duplicates==0", "-expect", "disorder==0")
	require.Equal(t, report.ExitOK, code, "%s\n%s", out, errs)
	require.Greater(t, first.Load()+second.Load(), int64(101), "some have moved")
	require.Greater(t, second.Load(), int64(40))
}
