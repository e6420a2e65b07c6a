package browsertest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// prefs keep Firefox from loading anything but what a test asks for, and from asking questions.
const prefs = `user_pref("app.normandy.enabled", false);
user_pref("app.update.disabledForTesting", true);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("browser.startup.page", 0);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("extensions.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "data:,#none");
user_pref("toolkit.telemetry.server", "data:,#none");
`

// firefoxProcess is a running Firefox by way of WebDriver BiDi.
type firefoxProcess struct {
	conn *websocket.Conn
	mu   sync.Mutex
	next int
	wait map[int]chan reply
	done chan struct{} // closed when nothing is read any more
}

type reply struct {
	ID      int
	Type    string
	Error   string
	Message string
	Result  json.RawMessage
}

var (
	firefoxOnce    sync.Once
	firefoxBrowser *firefoxProcess // the one of all tests
)

// firefox returns a profile of its own in the one headless Firefox of all tests, or skips the test.
func firefox(t *testing.T) *firefoxProfile {
	t.Helper()
	path := findBrowser(t, "Firefox", "SPATETEST_FIREFOX", "firefox-esr", "firefox")
	firefoxOnce.Do(func() { startFirefox(t, path) })
	require.NotNil(t, firefoxBrowser, "Firefox did not start")
	var made struct {
		UserContext string `json:"userContext"`
	}
	firefoxBrowser.call(t, "browser.createUserContext", struct{}{}, &made)
	t.Cleanup(func() { firefoxBrowser.call(t, "browser.removeUserContext", made, nil) }) // and its tabs
	return &firefoxProfile{firefoxBrowser, made.UserContext}
}

func startFirefox(t *testing.T, path string) {
	t.Helper()
	dir, err := scratch()
	require.NoError(t, err)
	profile, home := filepath.Join(dir, "firefox"), filepath.Join(dir, "home")
	for _, d := range []string{profile, home} {
		require.NoError(t, os.Mkdir(d, 0o700))
	}
	require.NoError(t, os.WriteFile(filepath.Join(profile, "user.js"), []byte(prefs), 0o600))
	cmd := exec.Command(path, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0")
	cmd.Env = append(os.Environ(), "HOME="+home, "MOZ_HEADLESS=1")
	cmd.WaitDelay = 5 * time.Second // its children may hold the pipe
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	f := &firefoxProcess{wait: map[int]chan reply{}, done: make(chan struct{})}
	ends = append([]func(){func() { f.end(cmd) }}, ends...)
	url := ""
	lines := bufio.NewScanner(stderr)
	for url == "" && lines.Scan() {
		_, url, _ = strings.Cut(lines.Text(), "WebDriver BiDi listening on ")
	}
	require.NotEmpty(t, url, "Firefox does not say where it listens")
	go func() {
		for lines.Scan() { // so that it never waits for a reader
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	f.conn, _, err = websocket.Dial(ctx, url+"/session", nil)
	require.NoError(t, err)
	f.conn.SetReadLimit(64 << 20)
	go f.read()
	f.call(t, "session.new", map[string]any{"capabilities": map[string]any{}}, nil)
	firefoxBrowser = f
}

// end asks the browser to close, and kills it where it does not.
func (f *firefoxProcess) end(cmd *exec.Cmd) {
	if f.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = f.conn.Write(ctx, websocket.MessageText, []byte(`{"id":0,"method":"browser.close","params":{}}`))
		select {
		case <-f.done:
		case <-ctx.Done():
		}
		_ = f.conn.CloseNow()
		<-f.done
	}
	timer := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	timer.Stop()
}

func (f *firefoxProcess) read() {
	defer close(f.done)
	for {
		_, text, err := f.conn.Read(context.Background())
		if err != nil {
			return
		}
		var r reply
		if json.Unmarshal(text, &r) != nil || r.Type == "event" {
			continue
		}
		f.mu.Lock()
		waiter := f.wait[r.ID]
		delete(f.wait, r.ID)
		f.mu.Unlock()
		if waiter != nil {
			waiter <- r
		}
	}
}

// call sends a command and decodes its result into out, unless that is nil.
func (f *firefoxProcess) call(t *testing.T, method string, params, out any) {
	t.Helper()
	f.mu.Lock()
	f.next++
	id, answer := f.next, make(chan reply, 1)
	f.wait[id] = answer
	f.mu.Unlock()
	body, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, f.conn.Write(ctx, websocket.MessageText, body))
	select {
	case r := <-answer:
		require.Empty(t, r.Error, "%s %s: %s", method, body, r.Message)
		if out != nil {
			require.NoError(t, json.Unmarshal(r.Result, out))
		}
	case <-f.done:
		require.FailNow(t, "Firefox has ended", method)
	case <-ctx.Done():
		require.FailNow(t, "Firefox does not answer", method)
	}
}

// firefoxProfile is a user context: it shares nothing with others.
type firefoxProfile struct {
	f           *firefoxProcess
	userContext string
}

type firefoxTab struct {
	f       *firefoxProcess
	context string
}

func (p *firefoxProfile) newTab(t *testing.T) tab {
	t.Helper()
	var made struct{ Context string }
	p.f.call(t, "browsingContext.create", map[string]any{"type": "tab", "userContext": p.userContext}, &made)
	return &firefoxTab{p.f, made.Context}
}

func (tab *firefoxTab) navigate(t *testing.T, url string) {
	t.Helper()
	tab.f.call(t, "browsingContext.navigate", map[string]any{"context": tab.context, "url": url, "wait": "interactive"}, nil)
}

func (tab *firefoxTab) eval(t *testing.T, expression string, out any) {
	t.Helper()
	var answer struct {
		Type             string
		Result           struct{ Value string }
		ExceptionDetails struct{ Text string }
	}
	tab.f.call(t, "script.evaluate", map[string]any{
		"expression":   fmt.Sprintf("(async () => JSON.stringify(await (%s)) ?? 'null')()", expression),
		"target":       map[string]any{"context": tab.context},
		"awaitPromise": true,
	}, &answer)
	require.Equal(t, "success", answer.Type, "%s: %s", expression, answer.ExceptionDetails.Text)
	if out != nil {
		require.NoError(t, json.Unmarshal([]byte(answer.Result.Value), out), "%s is %s", expression, answer.Result.Value)
	}
}

func (tab *firefoxTab) beforeScripts(t *testing.T, script string) {
	t.Helper()
	tab.f.call(t, "script.addPreloadScript", map[string]any{
		"functionDeclaration": "() => {" + script + "}", "contexts": []string{tab.context},
	}, nil)
}

func (tab *firefoxTab) close(t *testing.T) {
	t.Helper()
	tab.f.call(t, "browsingContext.close", map[string]any{"context": tab.context}, nil)
}
