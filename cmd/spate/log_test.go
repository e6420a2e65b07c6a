package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// filled returns a folder with a log of n events that a hub has written.
func filled(t *testing.T, n int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	s := startServe(t, "--data", dir)
	pushN(t, s.base, n)
	require.Equal(t, exitOK, s.stop())
	return dir
}

func pushN(t *testing.T, base string, n int) {
	t.Helper()
	for i := range n {
		res := runToEnd(t, "", "push", "--url", base, "--topic", "t", fmt.Sprint("event ", i))
		require.Equal(t, exitOK, res.code, res.err)
	}
}

// flipMiddle damages a file.
func flipMiddle(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	for i := range 8 {
		data[len(data)/2+i] ^= 0xff
	}
	require.NoError(t, os.WriteFile(name, data, 0o600))
}

func only(t *testing.T, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, names, pattern)
	return names[len(names)-1]
}

// TestBackupOfARunningHub: a backup over HTTP is made in the folder that the hub was given, and nowhere else; restored,
// it is a hub with the same events, and with unknown ones told.
func TestBackupOfARunningHub(t *testing.T) {
	dir, into := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backups")
	s := startServe(t, "--data", dir, "--backup-dir", into)
	pushN(t, s.base, 3)
	res := runToEnd(t, "", "log", "backup", "--url", s.base, "monday")
	require.Equal(t, exitOK, res.code, res.err)
	require.Equal(t, filepath.Join(into, "monday")+"\n", res.out)
	pushN(t, s.base, 2)
	res = runToEnd(t, "", "log", "backup", "--url", s.base)
	require.Equal(t, exitOK, res.code, res.err)
	require.DirExists(t, strings.TrimSpace(res.out))

	res = runToEnd(t, "", "log", "backup", "--url", s.base, "monday")
	require.Equal(t, exitFailed, res.code)
	require.Contains(t, res.err, "there is a backup of this name already")
	for _, name := range []string{"../x", "a/b", ".x", "..", "a b", strings.Repeat("x", 101), "/etc/x"} {
		res = runToEnd(t, "", "log", "backup", "--url", s.base, name)
		require.Equal(t, exitFailed, res.code, name)
		require.Contains(t, res.err, "give letters, digits", name)
	}
	for _, query := range []string{"?name=a&name=b", "?nmae=a", "?name=%zz", "?name="} {
		reply, err := http.Post(s.base+"/backup"+query, "", nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, reply.StatusCode, query)
		require.NoError(t, reply.Body.Close())
	}
	reply, err := http.Post(s.base+"/backup", "application/json", strings.NewReader(`{"name":"a"}`))
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, reply.StatusCode, "a name where none is looked for")
	require.NoError(t, reply.Body.Close())
	req, err := http.NewRequest(http.MethodPost, s.base+"/backup", nil)
	require.NoError(t, err)
	req.Header.Set("Origin", "https://elsewhere.example")
	reply, err = http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, reply.StatusCode, "a page of another site")
	require.NoError(t, reply.Body.Close())
	entries, err := os.ReadDir(into)
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, exitOK, s.stop())

	restored := filepath.Join(t.TempDir(), "restored")
	res = runToEnd(t, "", "log", "restore", filepath.Join(into, "monday"), restored)
	require.Equal(t, exitOK, res.code, res.err)
	require.Contains(t, res.out, "records   3,")
	require.Contains(t, res.out, "whole")
	startServe(t, "--data", restored)
}

// TestBackupWithATokenInTheQuery: where tokens may stand in the query, they may beside a backup's name.
func TestBackupWithATokenInTheQuery(t *testing.T) {
	tokens, token := tokenFile(t, `"admin":true`)
	s := startServe(t, "--data", t.TempDir(), "--backup-dir", t.TempDir(), "--token-file", tokens, "--token-query", "access_token")
	status, body := s.do(http.MethodPost, "/backup?name=monday&access_token="+token, "")
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, `"name": "monday"`)
}

// TestNoBackupsUnlessAsked: without --backup-dir there is no such route.
func TestNoBackupsUnlessAsked(t *testing.T) {
	s := startServe(t, "--data", t.TempDir())
	res := runToEnd(t, "", "log", "backup", "--url", s.base)
	require.Equal(t, exitFailed, res.code)
	require.Contains(t, res.err, "start it with --backup-dir")
	require.Contains(t, runToEnd(t, "", "serve", "--memory", "--backup-dir", "x").err, "--backup-dir and --memory contradict")

	dir := t.TempDir()
	for into, why := range map[string]string{filepath.Join(dir, "data", "backups"): "it lies in the folder of the log", "/dev/null/x": "not a directory"} {
		res := runToEnd(t, "", "serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--backup-dir", into)
		require.Equal(t, exitFailed, res.code)
		require.Contains(t, res.err, "--backup-dir "+into)
		require.Contains(t, res.err, why)
	}
}

// TestLogCommands: check, backup, export, import and repair of a folder, whole and damaged.
func TestLogCommands(t *testing.T) {
	dir := filled(t, 5)
	res := runToEnd(t, "", "log", "check", dir)
	require.Equal(t, exitOK, res.code, res.err)
	require.Contains(t, res.out, "records   5,")
	require.Contains(t, res.out, "whole")

	other := t.TempDir()
	copied := filepath.Join(other, "copy")
	res = runToEnd(t, "", "log", "backup", "--data", dir, copied)
	require.Equal(t, exitOK, res.code, res.err)
	require.Equal(t, exitOK, runToEnd(t, "", "log", "check", copied).code)
	require.Contains(t, runToEnd(t, "", "log", "backup", "--data", dir, copied).err, "exists: give a new folder")

	exported := runToEnd(t, "", "log", "export", dir)
	require.Equal(t, exitOK, exported.code, exported.err)
	require.Equal(t, 5, strings.Count(exported.out, "\n"))
	var first struct{ ID, Topic, Data string }
	require.NoError(t, json.NewDecoder(bytes.NewBufferString(exported.out)).Decode(&first))
	require.Equal(t, "event 0", first.Data)
	require.Equal(t, "t", first.Topic)
	require.Equal(t, 4, strings.Count(runToEnd(t, "", "log", "export", "--after", first.ID, dir).out, "\n"))
	imported := filepath.Join(other, "imported")
	res = runToEnd(t, exported.out, "log", "import", imported)
	require.Equal(t, exitOK, res.code, res.err)
	require.Equal(t, exported.out, runToEnd(t, "", "log", "export", imported).out)
	res = runToEnd(t, exported.out, "log", "import", imported)
	require.Equal(t, exitFailed, res.code)
	require.Contains(t, res.err, "IDs must increase")

	flipMiddle(t, only(t, filepath.Join(dir, "MANIFEST-*")))
	res = runToEnd(t, "", "log", "check", dir)
	require.Equal(t, exitFailed, res.code)
	require.Contains(t, res.err, "spate log repair")
	repaired := filepath.Join(other, "repaired")
	res = runToEnd(t, "", "log", "repair", dir, repaired)
	require.Equal(t, exitOK, res.code, res.err)
	require.Contains(t, res.out, "salvaged into "+repaired)
	require.Equal(t, exported.out, runToEnd(t, "", "log", "export", repaired).out)
}

// TestLogCommandsSayWhatIsWrong: a message names the folder that it is about, and nothing that the command does not have.
func TestLogCommandsSayWhatIsWrong(t *testing.T) {
	dir, full, empty := filled(t, 1), t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "x"), nil, 0o600))
	nowhere := filepath.Join(empty, "nowhere")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"repair", dir, full}, full + " exists: give a new folder"},
		{[]string{"restore", dir, full}, "cannot make the folder " + full + ": the folder is not empty: it has x; give another one"},
		{[]string{"restore", dir, filepath.Join(full, "x")}, filepath.Join(full, "x") + " is no folder"},
		{[]string{"restore", dir, filepath.Join(full, "x", "y")}, filepath.Join(full, "x", "y") + " is no folder"},
		{[]string{"restore", dir, dir}, "cannot make the folder " + dir + ": one folder lies in the other"},
		{[]string{"restore", dir, nowhere + ".partial"}, "cannot make the folder " + nowhere + ".partial: names that end with"},
		{[]string{"repair", dir, filepath.Join(full, "x", "y")}, filepath.Join(full, "x", "y") + " is no folder"},
		{[]string{"repair", dir, filepath.Join(dir, "new")}, "cannot make the folder " + filepath.Join(dir, "new") + ": one folder lies in the other"},
		{[]string{"check", empty}, "the folder " + empty + " has no log"},
		{[]string{"check", full}, "the folder " + full + " has no log"},
		{[]string{"export", empty}, "the folder " + empty + " has no log"},
		{[]string{"backup", "--data", empty, filepath.Join(t.TempDir(), "new")}, "the folder " + empty + " has no log"},
		{[]string{"backup", "--data", nowhere, filepath.Join(nowhere, "new")}, "the target lies in the folder of the log"},
		{[]string{"check", nowhere}, "there is no folder " + nowhere},
		{[]string{"export", nowhere}, "there is no folder " + nowhere},
		{[]string{"check", filepath.Join(full, "x")}, "is no folder"},
	} {
		res := runToEnd(t, "", append([]string{"log"}, c.args...)...)
		require.Equal(t, exitFailed, res.code, c.args)
		require.Contains(t, res.err, c.want, c.args)
		require.NotContains(t, res.err, "--data", c.args)
		require.Equal(t, 1, strings.Count(res.err, "\n"), res.err)
	}
}

// TestBackupIsAskedForByOneThing: of a running hub and a folder, the flag counts before a variable that is set for all
// commands.
func TestBackupIsAskedForByOneThing(t *testing.T) {
	dir, target := filled(t, 1), filepath.Join(t.TempDir(), "copy")
	var out, errs safeBuffer
	code := run([]string{"log", "backup", "--data", dir, target},
		streams{in: strings.NewReader(""), out: &out, err: &errs, env: environment("SPATE_URL", "http://127.0.0.1:1")})
	require.Equal(t, exitOK, code, errs.String())
	require.DirExists(t, target)
	res := runToEnd(t, "", "log", "backup", "--url", "http://127.0.0.1:1", "")
	require.Equal(t, exitUsage, res.code)
	require.Contains(t, res.err, "the name must not be empty")
}

// TestLogUsage: what can't be meant is told with what is taken.
func TestLogUsage(t *testing.T) {
	for args, want := range map[string]string{
		"log":                            "give one of check",
		"log chekc x":                    `there is no command "chekc"`,
		"log check":                      "give DIR",
		"log check a b":                  "give DIR",
		"log restore a":                  "give BACKUP and DIR",
		"log repair a":                   "give DIR and NEW",
		"log backup":                     "give either --url or --data",
		"log backup --url u --data d t":  "give either --url or --data",
		"log backup --data d":            "give the target",
		"log backup --url http://x/ a b": "give one name",
		"log backup --url= d":            "--url: must not be empty",
		"log export --after x d":         `--after "x" is no event ID`,
	} {
		res := runToEnd(t, "", strings.Fields(args)...)
		require.Equal(t, exitUsage, res.code, args)
		require.Contains(t, res.err, want, args)
	}
	require.Contains(t, runToEnd(t, "", "log", "export", filepath.Join(t.TempDir(), "absent")).err, "there is no folder")
	require.Contains(t, runToEnd(t, "", "log", "check", t.TempDir()).err, "the folder is empty")
	help := runToEnd(t, "", "log", "--help")
	require.Equal(t, exitOK, help.code)
	require.Contains(t, help.out, "spate log repair DIR NEW")
}

// TestLostTailIsTold: what was acknowledged and is gone after kill -9 and damage shows in /stats and the metrics.
func TestLostTailIsTold(t *testing.T) {
	dir := filled(t, 5)
	wal := only(t, filepath.Join(dir, "*.log"))
	data, err := os.ReadFile(wal)
	require.NoError(t, err)
	at := bytes.Index(data, []byte("event 3"))
	require.Positive(t, at)
	data[at] ^= 0xff
	require.NoError(t, os.WriteFile(wal, data, 0o600))

	s := startServe(t, "--data", dir)
	require.Contains(t, s.err.String(), "the end of the log is lost")
	var stats statsReply
	reply, err := http.Get(s.base + "/stats")
	require.NoError(t, err)
	require.NoError(t, json.NewDecoder(reply.Body).Decode(&stats))
	require.NoError(t, reply.Body.Close())
	require.NotNil(t, stats.Log.LostTail)
	require.Equal(t, int64(2), stats.Log.LostTail.Records)
	require.Equal(t, int64(3), stats.Log.Records)
}
