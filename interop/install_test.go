package interop

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestSystemdUnit: systemd takes the unit, and finds it well shut in.
func TestSystemdUnit(t *testing.T) {
	analyze := needs(t, "systemd-analyze")
	bin, err := spate()
	require.NoError(t, err)
	text, err := os.ReadFile("../packaging/spate.service")
	require.NoError(t, err)
	require.Contains(t, string(text), "/usr/local/bin/spate ")
	unit := filepath.Join(t.TempDir(), "spate.service")
	require.NoError(t, os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/spate ", bin+" ")), 0o600))
	out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotContains(t, string(out), "spate.service:", "warnings")
	out, err = exec.Command(analyze, "security", "--offline=true", "--threshold=20", unit).CombinedOutput() // tenths of its scale to 10
	require.NoError(t, err, "%s", out)
}

// TestRelease: two releases of one commit, made in clones at different places, are the same bytes; and their version is
// what `go build` and `go install` say.
func TestRelease(t *testing.T) {
	git := needs(t, "git")
	needs(t, "sha256sum")
	if os.Getenv("SPATE_RELEASE") == "" {
		t.Skip("builds everything anew, for minutes: make release-check")
	}
	target := runtime.GOOS + "/" + runtime.GOARCH
	sums := map[string]string{}
	var first string
	for _, place := range []string{"one", "another/place"} {
		clone := filepath.Join(t.TempDir(), place)
		output(t, "..", git, "clone", "-q", "--no-hardlinks", ".", clone)
		out := filepath.Join(t.TempDir(), "dist")
		output(t, clone, "scripts/release.sh", out, target)
		archives, err := filepath.Glob(filepath.Join(out, "*.tar.gz"))
		require.NoError(t, err)
		require.Len(t, archives, 1)
		output(t, out, "sha256sum", "--check", "SHA256SUMS")
		text, err := os.ReadFile(archives[0])
		require.NoError(t, err)
		sums[fmt.Sprintf("%s %x", filepath.Base(archives[0]), sha256.Sum256(text))] = place
		first = clone
		output(t, out, "tar", "xzf", archives[0])
	}
	require.Len(t, sums, 1, "the bytes depend on where they are made")

	built := filepath.Join(t.TempDir(), "spate")
	output(t, first, "go", "build", "-buildvcs=true", "-o", built, "./cmd/spate")
	version := output(t, first, built, "version")
	for archive := range sums {
		require.True(t, strings.HasPrefix(archive, "spate_"+strings.Fields(version)[1]+"_"), "%s and %s", archive, version)
	}
	bin := t.TempDir()
	install := exec.Command("go", "install", "-buildvcs=true", "./cmd/spate")
	install.Dir, install.Env = first, append(os.Environ(), "GOBIN="+bin)
	out, err := install.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, version, output(t, first, filepath.Join(bin, "spate"), "version"))
}

// TestImage: the image is built, holds the one file, runs as nobody in particular, and has its health check.
func TestImage(t *testing.T) {
	builder := needs(t, "buildah")
	bin := staticSpate(t)
	context := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(context, "data"), 0o755))
	require.NoError(t, os.Link(bin, filepath.Join(context, "spate-"+runtime.GOARCH)))
	root := t.TempDir()
	storage := []string{"--storage-driver", "vfs", "--root", filepath.Join(root, "store"), "--runroot", filepath.Join(root, "run")}
	if out, err := exec.Command(builder, append(storage, "images")...).CombinedOutput(); err != nil {
		t.Skipf("buildah does not work here: %s", out)
	}
	policy := filepath.Join(root, "policy.json") // nothing is fetched
	require.NoError(t, os.WriteFile(policy, []byte(`{"default": [{"type": "insecureAcceptAnything"}]}`), 0o600))
	buildah := func(args ...string) string { return output(t, ".", builder, append(storage, args...)...) }
	buildah("build", "--signature-policy", policy, "--isolation", "chroot", "--format", "docker", "--build-arg", "TARGETARCH="+runtime.GOARCH,
		"-f", "../packaging/Dockerfile", "-t", "spate:test", context)
	config := buildah("inspect", "--type", "image", "--format", "{{.Docker.Config.User}} {{.Docker.Config.Healthcheck.Test}} {{.Docker.Config.Entrypoint}}", "spate:test")
	require.Equal(t, "65532:65532 [CMD /spate health] [/spate]", strings.TrimSpace(config))

	container := strings.TrimSpace(buildah("from", "--signature-policy", policy, "--pull-never", "spate:test"))
	mount := strings.TrimSpace(buildah("mount", container))
	entries, err := os.ReadDir(mount)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	require.Equal(t, []string{"data", "spate"}, names)
	require.Contains(t, output(t, ".", filepath.Join(mount, "spate"), "version"), "spate ")
}

// staticSpate builds the hub without a C library, as in a release.
func staticSpate(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "spate")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", bin, "./cmd/spate")
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return bin
}

// output runs a program to its end and returns its standard output.
func output(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	var errs safeBuffer
	cmd.Stderr = &errs
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	require.NoError(t, err, "%s %q: %s%s", program, args, out, &errs)
	return string(out)
}

// TestCompose: the hub of the compose file starts with its settings, is healthy, and asks who a caller is.
func TestCompose(t *testing.T) {
	text, err := os.ReadFile("../packaging/compose.yml")
	require.NoError(t, err)
	var file struct {
		Services struct {
			Hub struct {
				Command     []string
				Environment map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	tokens := filepath.Join(t.TempDir(), "tokens.json")
	require.NoError(t, os.WriteFile(tokens, []byte(`{"tokens": []}`), 0o600))
	bin, err := spate()
	require.NoError(t, err)
	address := freeAddress(t)
	args := append([]string(nil), file.Services.Hub.Command...)
	for i := range args {
		args[i] = strings.NewReplacer("0.0.0.0:8080", address, "/run/secrets/tokens", tokens).Replace(args[i])
	}
	var out safeBuffer
	cmd := exec.Command(bin, args...)
	cmd.Stderr = &out
	cmd.Env = append(os.Environ(), "SPATE_DATA="+filepath.Join(t.TempDir(), "log"))
	for name, value := range file.Services.Hub.Environment {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		return exec.Command(bin, "health", "--url", "http://"+address).Run() == nil
	}, patience, 100*time.Millisecond, "%s", &out)
	resp, err := http.Get("http://" + address + "/events")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
}
