package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// patience is how long a condition may take on a busy machine before a test fails.
const patience = 90 * time.Second

// scratch is a folder for the whole run.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "spate-interop-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = os.Chmod(scratch, 0o755) // a proxy may give up its rights
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// spate builds the hub once, and returns the program's path.
var spate = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(scratch, "spate")
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/spate")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

// node installs the packages of folder node once, at the versions of its lock file, and returns node's path.
var node = sync.OnceValues(func() (string, error) {
	path, err := exec.LookPath("node")
	if err != nil {
		return "", fmt.Errorf("node is not here: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if _, err := os.Stat("node/node_modules"); err == nil {
		return path, nil
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = "node"
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w: %s", err, out)
	}
	return path, nil
})

// needs returns the path of the first of these programs, and skips the test where there is none.
func needs(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("none of %q is on this machine: install it to run this test", names)
	return ""
}
