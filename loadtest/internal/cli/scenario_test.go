package cli_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"net/http/httptest"

	"github.com/spatehub/spate/loadtest/internal/calibrate"
	"github.com/spatehub/spate/loadtest/internal/report"
)

func scenario(t *testing.T, text string) string {
	name := filepath.Join(t.TempDir(), "s.yaml")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// A scenario with stages of streams and rates, groups, storms, thresholds and
// outputs runs as it says; the command line counts instead.
func TestScenario(t *testing.T) {
	dir := t.TempDir()
	url := serve(t, calibrate.Faults{})
	file := scenario(t, `
url: `+url+`
name: evening
connect-rate: 10000
settle: 0s
interval: 50ms
drain: 2s
max-lag: 0s
max_busy: 0
stages:
  - {name: warm, for: 200ms, streams: 4, rate: 50/s}
  - {name: rush, for: 0s, streams: 12, rate: 200/s}
  - {for: 1s}
  - {name: night, for: 0s, streams: 2, rate: 20/s}
  - {for: 200ms}
storms: [250ms:50%]
groups:
  - name: phones
    share: 50%
    churn: 10%
    away: 10ms
    url: `+url+`/events?uid={{.User}}&app=phone
  - {name: walls, share: 25%}
thresholds: [lost==0, group.phones.lost==0, "group.phones.deliveries>0", "p99<1m"]
expect: ["group.walls.p99<1m"]
json: `+filepath.Join(dir, "not-this.json")+`
html: `+filepath.Join(dir, "page.html")+`
`)
	code, out, errs := command(t, "check", file)
	require.Equal(t, report.ExitOK, code, errs)
	require.Contains(t, out, "12 streams")
	require.Contains(t, out, "group phones: streams 0 to 5; group walls: streams 6 to 8")
	code, out, errs = command(t, "run", "-scenario", file, "-quiet", "-json", filepath.Join(dir, "r.json"))
	require.Equal(t, report.ExitOK, code, out+errs)
	require.NoFileExists(t, filepath.Join(dir, "not-this.json"))
	require.FileExists(t, filepath.Join(dir, "page.html"))
	r, err := report.Read(filepath.Join(dir, "r.json"))
	require.NoError(t, err)
	require.Equal(t, "evening", r.Name)
	require.EqualValues(t, 10+200+4, r.Published.Events, "the rates of the stages")
	require.EqualValues(t, 12, r.Streams.Peak)
	require.Equal(t, 1_400_000_000, int(r.Config.Duration))
	require.Zero(t, r.Streams.NeverOpen)
	require.Zero(t, r.Streams.Offline, "streams that a stage has closed are not missed")
	require.Len(t, r.Groups, 2)
	require.Equal(t, []int{6, 3}, []int{r.Groups[0].Streams, r.Groups[1].Streams})
	require.NotZero(t, r.Groups[0].Deliveries)
	var marks []string
	for _, m := range r.Marks {
		marks = append(marks, m.Text)
	}
	require.Equal(t, []string{"storm 50 %", "warm", "rush", "night"}, marks)
}

// What is wrong with a scenario is said with its line, all at once.
func TestScenarioFaults(t *testing.T) {
	for _, x := range []struct{ text, want string }{
		{"", "is empty"},
		{"- a", "write keys and values"},
		{"url: http://h\nstrems: 5\nrate: fast\n", "s.yaml:2: strems: there is no such key; did you mean streams?"},
		{"url: http://h\nrate: fast", "write for example"},
		{"url: http://h\nurl: http://i", "url: it is given twice"},
		{"url: http://h\nstreams: [1, {a: b}]", "s.yaml:2: streams"},
		{"url: http://h\nstreams: {a: b}", "give a value, or a list of values"},
		{"url: http://h\nchurn: 500%", "share such as 5%"},
		{"url: http://h\nscenario: other.yaml", "no such key"},
		{"url: http://h\nrate: 5/s\nstages: [{for: 1s, rate: 5/s}]", "stages say rate themselves"},
		{"url: http://h\nstages: [{for: 1s, speed: 5}]", `there is no key "speed"; there are for, name, rate, streams`},
		{"url: http://h\nstages: [{for: soon}]", "for: time: invalid duration"},
		{"url: http://h\nstages: [{for: 1s}, {for: 1s, rate: 5/s}]", "the first stage has no rate"},
		{"url: http://h\ngroups: [{name: a, share: 60%}, {name: b, share: 60%}]", "120 % of the streams"},
		{"url: http://h\ngroups: [{share: 60%}]", "a name of its own"},
		{"url: http://h\ngroups: [{name: a, share: 60%, topic: 3}]", "no topic 3"},
		{"url: http://h\nabort: [lost>0]", "known only when the run is over"},
		{"url: http://h\nabort: [speed>0]", `-abort "speed>0": there is no figure`},
		{"url: http://h\nlogin-take: [x]", "-login-url"},
		{"url: http://h\nlogin-url: http://h\nlogin-take: [x=body:y]", "name=cookie:NAME"},
		{"url: http://h\n---\nurl: http://i", "a second document"},
		{"url: http://h\ngroups: [{name: a, name: b, share: 60%}]", "name is given twice"},
		{"url: http://h\ngroups: [{name: a, share: 60%, url: [x]}]", "url: give a value"},
		{"url: http://h\nstages: [{for: 1s, for: 2s}]", "for is given twice"},
		{"url: http://h\ngroups: [{name: &x a, share: 10%}, {name: *x, share: 10%}]", "number 2 needs a name of its own"},
		{"url: http://h\ngroups: [{speed: [x]}]", `there is no key "speed"`},
		{"url: http://h\ngroups:\n- name: a\n  share: 60%\n  header:\n  - X-User: u1", "line 6 is not a value; write it in quotes"},
		{"url: http://h\ngroups: [{name: &x a, share: 60%, header: [*x]}]", `"a": write Name: value`},
		{"url: http://h\ngroups: [{name: a, share: 60%, header: [&x {b: c}, *x]}]", "line 2 is not a value"},
		{"a: [", "did not find expected node content"},
	} {
		code, _, errs := command(t, "check", scenario(t, x.text))
		require.Equal(t, report.ExitUsage, code, x.text)
		require.Contains(t, errs, x.want, x.text)
	}
	for _, args := range [][]string{{"check"}, {"check", "/no/such.yaml"}, {"run", "-scenario"}} {
		code, _, errs := command(t, args...)
		require.Equal(t, report.ExitUsage, code)
		require.NotEmpty(t, errs)
	}
}

// A run that goes wrong is ended as soon as it is known to.
func TestAbort(t *testing.T) {
	url := serve(t, calibrate.Faults{Double: 2})
	code, out, _ := command(t, short(url, "-abort", "duplicates>=20", "-events", "0", "-rate", "200/s", "-duration", "10m")...)
	require.Equal(t, report.ExitUnexpected, code)
	require.Contains(t, out, "not duplicates>=20 (aborted at ")
}

// A login's token and cookie are those of its user's streams.
func TestLogin(t *testing.T) {
	cal := calibrate.New(calibrate.Faults{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch uid := r.URL.Query().Get("uid"); {
		case r.URL.Path == "/login":
			var who struct{ Name, Pass string }
			if err := json.NewDecoder(r.Body).Decode(&who); err != nil || who.Pass != "p-"+who.Name {
				http.Error(w, "who are you", http.StatusUnauthorized)
				return
			}
			http.SetCookie(w, &http.Cookie{Name: "sid", Value: "c-" + who.Name})
			_, _ = w.Write([]byte(`{"auth":[{"token":"t-` + who.Name + `"}]}`))
			return
		case uid != "" && (r.Header.Get("Authorization") != "Bearer t-"+uid || r.Header.Get("Cookie") != "sid=c-"+uid):
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		cal.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	data := scenario(t, "name,pass\nu0,p-u0\nu1,p-u1\nu2,p-u2\nu3,p-u3\nu4,p-u4\n")
	login := []string{"-data", data, "-login-url", srv.URL + "/login", "-login-body", `{"name":{{json .Row.name}},"pass":{{json .Row.pass}}}`,
		"-login-take", "token=json:$.auth[0].token", "-login-take", "sid=cookie:sid", "-bearer", "{{.Login.token}}", "-header", "Cookie: sid={{.Login.sid}}"}
	code, out, errs := command(t, short(srv.URL, append(login, "-expect", "deliveries==250", "-expect", "errors==0")...)...)
	require.Equal(t, report.ExitOK, code, out+errs)
	code, _, errs = command(t, short(srv.URL, append(login, "-login-body", "{}")...)...)
	require.Equal(t, report.ExitUsage, code)
	require.Contains(t, errs, "401 Unauthorized")
	code, _, errs = command(t, short(srv.URL, append(login, "-login-take", "x=json:$.nothing")...)...)
	require.Equal(t, report.ExitUsage, code)
	require.Contains(t, errs, "without json:$.nothing")
}
