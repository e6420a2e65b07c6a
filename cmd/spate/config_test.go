package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/serve/auth"
)

// configured parses the flags with a file of these settings.
func configured(t *testing.T, text string, env func(string) (string, bool), args ...string) (*serveConfig, string, error) {
	t.Helper()
	path := written(t, "hub.yaml", text)
	c, err := parseWith(env, append([]string{"--config", path}, args...)...)
	return c, path, err
}

// The file says what neither the environment nor a flag says; lists of a layer replace those below it.
func TestLayersOfSettings(t *testing.T) {
	const file = `
# comments are fine
listen: "[::1]:1"
retain-age: 2d
max-connections: 7
no-sync: true
jwt-secret: a secret of thirty-two bytes, or so
jwt-audience: [a, b]
cors-origin: https://one.example
retain-topic:
  - prices=count:10
  - "*=age:1h"
jwt-rights:
  read: ["news.>"]
`
	env := environment("SPATE_MAX_CONNECTIONS", "8", "SPATE_RETAIN_COUNT", "5", "SPATE_CORS_ORIGIN", "https://two.example,https://three.example")
	c, path, err := configured(t, file, env, "--retain-count", "6", "--retain-topic", "x=count:1")
	require.NoError(t, err)
	require.Equal(t, "[::1]:1", c.listen)
	require.Equal(t, 48*time.Hour, c.retention.MaxAge)
	require.Equal(t, 8, c.limits.all.connections)
	require.EqualValues(t, 6, c.retention.MaxCount)
	require.True(t, c.noSync)
	require.Equal(t, []string{"a", "b"}, c.access.audience.values)
	require.Equal(t, []string{"https://two.example", "https://three.example"}, c.access.origins.values)
	require.Len(t, c.retention.Topics, 1)
	require.Len(t, c.access.jwtRights.grant.Read, 1)
	for name, want := range map[string]string{
		"listen": path + ":3", "retain-count": "flag", "max-connections": "SPATE_MAX_CONNECTIONS", "buffer": "default", "jwt-rights": path + ":13"} {
		require.Equal(t, want, c.settings.set[name].String(), name)
	}
}

// (Invariant 12.) All that is wrong is told at once, each with its place; nothing is passed over.
func TestAllMistakesAreToldWithTheirPlaces(t *testing.T) {
	env := environment("SPATE_HEARTBEAT", "soon", "SPATE_BUFFER", "1")
	_, path, err := configured(t, `
listne: 127.0.0.1:0
max-connections: many
retain-age: 7d
retain-age: 8d
print-config: true
policy: [a]
h2c:
cors-origin: [https://x.example/path]
queue-bytes: 1
`, env, "--retain-count=-1", "--no-such", "thing", "--demo=perhaps")
	require.Error(t, err)
	for _, want := range []string{
		path + `:2: "listne" is no setting: is listen meant?`,
		path + ":3: max-connections: give a whole number",
		path + `:5: "retain-age" is given twice, at first in line 4`,
		path + `:6: "print-config" is no setting`,
		path + ":7: policy: takes one value, not a list",
		path + ":8: h2c: has no value",
		path + ":9: --cors-origin: origin",
		path + ":10: --queue-bytes 1: give 1KiB",
		`SPATE_HEARTBEAT="soon" in the environment: give a duration`,
		"SPATE_BUFFER in the environment: --buffer 1: give 16",
		`invalid value "-1" for flag --retain-count`,
		"not defined: --no-such",
		`invalid boolean value "perhaps" for flag --demo`,
		"there are 13 mistakes",
	} {
		require.ErrorContains(t, err, want)
	}
	for text, want := range map[string]string{
		"- a\n":                         ":1: must be a mapping",
		"a: [\n":                        "is no YAML",
		"listen: &x 1\ndata: *x\n":      "anchors and aliases",
		"listen: !!str x\n":             "tags",
		"listen: {a: 1}\n":              "not a mapping",
		"memory: yes\n":                 "give true or false",
		"memory: true\n---\ndemo: true": "more than one document",
		"cors-origin: [[a]]\n":          "is no plain value",
		"? [a]\n: b\n":                  "is no text",
		"anonymous: {read: [1, {}]}\n":  "must be a list of topics",
		"anonymous: {raed: [a]}\n":      "raed",
		"jwt-secret: short\n":           "32 or more",
	} {
		_, _, err := configured(t, text, environment())
		require.ErrorContains(t, err, want, text)
		require.NotContains(t, err.Error(), "short", "a secret is not shown")
	}
	for _, text := range []string{"", "# nothing\n", "---\n", "{}\n"} {
		_, _, err := configured(t, text, environment())
		require.NoError(t, err, text)
	}
	_, err = parseWith(environment(), "--config", filepath.Join(t.TempDir(), "none.yaml"))
	require.ErrorContains(t, err, "none.yaml")
	_, err = parseWith(environment(), "--jwt-secret", jwtSecret)
	require.ErrorContains(t, err, "SPATE_JWT_SECRET")
	require.NotContains(t, err.Error(), jwtSecret)
}

// What contradicts itself among the settings of credentials, limits and TLS is refused by name.
func TestSettingsThatContradictThemselves(t *testing.T) {
	for line, want := range map[string]string{
		"--listen 0.0.0.0:0":                                 "--insecure",
		"--listen 0.0.0.0:0 --insecure --token-file x":       "--insecure contradicts",
		"--user-header X-User --token-file x":                "--user-header contradicts",
		"--jwt-secret-file x --jwt-key-file y":               "give one of them",
		"--jwt-issuer x":                                     "none are taken",
		"--jwt-secret-file x --jwt-skew 6m":                  "5m or less",
		"--jwt-jwks-url http://id.example/keys":              "https",
		"--jwt-jwks-url https://u:p@id.example/keys":         "no user and password",
		"--anonymous {\"read\":[\">\"]}":                     "nothing asks for any",
		"--token-file x --anonymous {\"admin\":true}":        "anybody would have it",
		"--ticket-ttl 1m":                                    "tickets are for",
		"--token-file x --ticket-ttl 1h":                     "1s to 10m",
		"--token-file x --token-query topic":                 "--token-query",
		"--tls-cert x":                                       "--tls-key",
		"--tls-min 1.3":                                      "--tls-cert",
		"--tls-cert x --tls-key y --tls-min 1.1":             "1.2 or 1.3",
		"--tls-cert x --tls-key y --h2c":                     "h2c",
		"--tls-cert x --tls-key y --tls-client-name cn":      "--tls-client-ca",
		"--tls-cert x --tls-key y --tls-client-required":     "--tls-client-ca",
		"--tls-client-rights x":                              "--tls-client-name",
		"--cors-credentials":                                 "--cors-origin",
		"--cors-credentials --cors-origin *":                 "by name",
		"--cors-credentials --cors-origin * --cors-origin x": "by name",
		"--trusted-proxy 10.0.0.0/8":                         "--proxy-header",
		"--proxy-header X-Real-IP --trusted-proxy 10.0.0.1":  "X-Forwarded-For",
		"--proxy-protocol":                                   "--trusted-proxy",
		"--max-connects 1:0":                                 "give a rate",
		"--max-connects -1":                                  "give a rate",
		"--max-connects 1e9":                                 "give a rate",
		"--max-push-bytes-user 1:2:3":                        "give a size",
		"--max-topics 0":                                     "1 to 1000",
		"--max-connections-user -1":                          "positive",
		"--token-file x --tls-client-name shoe":              "cn, uri, dns or email",
	} {
		_, err := parseWith(environment(), strings.Fields(line)...)
		require.ErrorContains(t, err, want, line)
	}
	c, err := parseWith(environment(), "--listen", "0.0.0.0:0", "--insecure", "--max-connects", "0.5:10", "--max-push-bytes-user", "64KiB:1MiB")
	require.NoError(t, err)
	require.Equal(t, "0.5:10", c.limits.all.connects.String())
	require.Equal(t, "64KiB:1MiB", c.limits.user.bytes.String())
}

// What is printed of the settings is a file that means the same, with its secrets left out.
func TestPrintedSettingsAreAFile(t *testing.T) {
	const file = "retain-topic: [\"a=count:1\", \"b=age:1h\"]\ncors-origin: [\"https://x.example\"]\nmax-connects-user: 1:5\njwt-issuer: \"a: b # c\"\n" +
		"anonymous: {read: [a, b.>]}\n"
	path := written(t, "hub.yaml", file)
	print := func(env func(string) (string, bool), args ...string) string {
		var out, errs safeBuffer
		require.Equal(t, exitOK, run(append([]string{"serve", "--print-config"}, args...), streams{in: strings.NewReader(""), out: &out, err: &errs, env: env}), errs.String())
		return out.String()
	}
	text := print(environment("SPATE_JWT_SECRET", jwtSecret), "--config", path, "--memory")
	require.NotContains(t, text, jwtSecret)
	require.Contains(t, text, "# jwt-secret: (hidden) # SPATE_JWT_SECRET\n")
	require.Contains(t, text, "memory: true # flag\n")
	require.Contains(t, text, "# "+path+":1\n")
	again := print(environment("SPATE_JWT_SECRET", jwtSecret), "--config", written(t, "again.yaml", text))
	origin := regexp.MustCompile(` # [^#\n]*\n`)
	require.Equal(t, origin.ReplaceAllString(text, "\n"), origin.ReplaceAllString(again, "\n"))
}

// `spate config check` reads what a file names too, and says what is wrong with that.
func TestConfigCheck(t *testing.T) {
	tokens, _ := tokenFile(t, `"read":["a"]`)
	good := written(t, "good.yaml", "listen: 0.0.0.0:1\ntoken-file: "+tokens+"\n")
	got := runToEnd(t, "", "config", "check", good)
	require.Equal(t, exitOK, got.code, got.err)
	bad := written(t, "bad.yaml", "token-file: "+written(t, "t.json", `{"tokens":[{"hash":"sha256:00"}]}`)+"\njwt-key-file: "+written(t, "k.pem", "x")+
		"\ntls-cert: nothing.pem\ntls-key: nothing.pem\n")
	got = runToEnd(t, "", "config", "check", bad)
	require.Equal(t, exitFailed, got.code, got.err)
	for _, want := range []string{"there are 3 mistakes", "--token-file: ", "64 hexadecimal digits", "--jwt-key-file: ", "bad.yaml:3: certificate nothing.pem"} {
		require.Contains(t, got.err, want)
	}
	require.Equal(t, exitUsage, runToEnd(t, "", "config", "check").code)
	require.Equal(t, exitUsage, runToEnd(t, "", "config").code)
	require.Equal(t, exitFailed, runToEnd(t, "", "config", "check", "nothing.yaml").code)
}

// SIGHUP puts in force what can change, and says so and what takes a restart; a file with mistakes changes nothing.
func TestReload(t *testing.T) {
	tokens, first := tokenFile(t, `"admin":true`)
	path := written(t, "hub.yaml", "")
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	base := "memory: true\ntoken-file: " + tokens + "\n"
	write(base)
	s := startServe(t, "--config", path)
	logged := func(text string) {
		t.Helper()
		s.hangups <- syscall.SIGHUP
		require.Eventually(t, func() bool { return strings.Contains(s.err.String(), text) }, patience, time.Millisecond, "no %q: %s", text, s.err)
	}
	origin := []string{"Origin", "https://app.example", "Authorization", "Bearer " + first}
	status, _ := s.get("/stats", origin...)
	require.Equal(t, 403, status)
	token, hash := auth.NewToken()
	other := written(t, "other.json", `{"tokens":[{"hash":"`+hash+`","id":"x","admin":true}]}`)

	write(base + "cors-origin: [https://app.example]\nbuffer: 64\n")
	logged("buffer")
	require.Contains(t, s.err.String(), "cors-origin: https://app.example")
	require.Contains(t, s.err.String(), "takes a restart")
	status, _ = s.get("/stats", origin...)
	require.Equal(t, 200, status)

	write(base + "token-cookie: session\ncors-origin: [https://app.example]\n")
	logged("[token-cookie]")
	status, _ = s.get("/stats", "Cookie", "session="+first, "Sec-Fetch-Site", "same-origin")
	require.Equal(t, 401, status, "what takes a restart is not in force before it")

	write("memory: true\ntoken-file: " + other + "\nqueue-bytes: 1\nbufer: 2\n")
	logged("is buffer meant?")
	require.Contains(t, s.err.String(), "--queue-bytes 1", "all of it")
	status, _ = s.get("/stats", origin...)
	require.Equal(t, 200, status, "the settings are as they were")

	write("memory: true\ntoken-file: nothing.json\n")
	logged("nothing.json")
	write("memory: true\n")
	logged("without a restart")
	status, _ = s.get("/stats", as(first)...)
	require.Equal(t, 200, status)

	write("memory: true\ntoken-file: " + other + "\nmax-requests-address: 0.001:2\nlog-level: debug\n")
	logged("max-requests-address: 0.001:2")
	status, _ = s.get("/stats", as(first)...)
	require.Equal(t, 401, status)
	status, _ = s.get("/stats", as(token)...)
	require.Equal(t, 200, status)
	status, _ = s.get("/stats", as(token)...)
	require.Equal(t, 429, status, "bounds are in force")
}

// Every setting is in the list of docs/operations.md, and nothing else.
func TestEverySettingIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(text), "## Settings\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n## ")
	listed := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| ((?:`--[a-z0-9-]+`(?:, )?)+)").FindAllStringSubmatch(section, -1) {
		for _, name := range regexp.MustCompile("`--([a-z0-9-]+)`").FindAllStringSubmatch(row[1], -1) {
			require.False(t, listed[name[1]], "%s stands there twice", name[1])
			listed[name[1]] = true
		}
	}
	help := runToEnd(t, "", "serve", "--help").out
	for _, m := range regexp.MustCompile(`(?m)^  --([a-z0-9-]+)`).FindAllStringSubmatch(help, -1) {
		require.True(t, listed[m[1]], "--%s is not documented", m[1])
		delete(listed, m[1])
	}
	require.Empty(t, listed, "documented, and no setting")
	for _, name := range reloadable {
		require.Contains(t, help, "--"+name+" ")
	}
}

// FuzzConfigFile: whatever a file says, it is taken or refused with its name, and what is taken can be printed and means
// the same again.
func FuzzConfigFile(f *testing.F) {
	for _, text := range []string{"listen: 127.0.0.1:0\n", "retain-topic: [a=count:1]\nmemory: true\n", "anonymous: {read: [a]}\ntoken-file: x\n", "a: &x [*x]\n",
		"? a\n: b\n", "\xff", "jwt-issuer: \"\\u0000\"\njwt-key-file: x", "max-connects: 1:2\nmax-push-bytes: 1KiB", "jwt-issuer: !!binary aGk=\n", "<<: {a: b}\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read := func(text string) (*serveConfig, *flagSet) {
			c := &serveConfig{maxEvent: 1 << 20, queue: 1 << 20}
			fs := newFlagSet("serve")
			c.access.addFlags(fs)
			c.limits.addFlags(fs)
			c.tls.addFlags(fs)
			fs.Var(&c.maxEvent, "max-event-size", "")
			fs.takeYAML("hub.yaml", []byte(text))
			return c, fs
		}
		_, fs := read(text)
		for _, fault := range fs.wrong {
			require.True(t, strings.HasPrefix(fault, "hub.yaml"), fault)
		}
		if len(fs.wrong) > 0 {
			return
		}
		var out strings.Builder
		require.NoError(t, fs.print(&out))
		_, again := read(out.String())
		require.Empty(t, again.wrong, out.String())
		first, second := fs.texts(), again.texts()
		delete(first, "jwt-secret")
		delete(second, "jwt-secret")
		require.Equal(t, first, second, out.String())
	})
}

// An address that others can reach is taken where the hub asks who they are, or was told that it need not; then it
// answers to any name.
func TestPublicAddresses(t *testing.T) {
	s := startServe(t, "--memory", "--insecure", "--listen", "0.0.0.0:0")
	s.base = strings.Replace(s.base, "localhost", "127.0.0.1", 1)
	status, _ := s.get("/stats", "Host", "hub.example.com")
	require.Equal(t, 200, status)
	status, _ = s.do("POST", "/push", `{"events":[{"data":"x"}]}`, "Content-Type", asJSON, "Origin", "https://evil.example", "Host", "hub.example.com")
	require.Equal(t, 403, status, "pages of others stay out")
}

// However the servers of a cluster are written down, what the hub shows of them has no passwords.
func TestServersAreShownWithoutPasswords(t *testing.T) {
	for given, shown := range map[string][]string{
		"nats://10.0.0.1:4222":             {"nats://10.0.0.1:4222"},
		"tom:s3cret@10.0.0.1:4222":         {"(hidden)@10.0.0.1:4222"},
		"nats://tom:s3@cret@a, bob:pw@b,c": {"nats://(hidden)@a, (hidden)@b,c"},
		"tls://s3cret@a,tls://tom:pw@b":    {"tls://(hidden)@a,tls://(hidden)@b"},
	} {
		var c serveConfig
		fs := newFlagSet("serve")
		c.cluster.addFlags(fs)
		f := fs.Lookup("cluster")
		require.NoError(t, f.Value.Set(given))
		value, secret := settingValue(f)
		require.False(t, secret)
		require.Equal(t, shown, value, given)
	}
}
