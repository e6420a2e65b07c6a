//go:build linux

package proc_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/bench/internal/proc"
)

// TestUsedBy: another process's time and memory are those that it would tell of itself.
func TestUsedBy(t *testing.T) {
	before := proc.CPU()
	u, err := proc.UsedBy(os.Getpid(), true)
	require.NoError(t, err)
	require.GreaterOrEqual(t, u.CPU, before)
	require.LessOrEqual(t, u.CPU, proc.CPU())
	require.InEpsilon(t, proc.Used(false).RSS, u.RSS, 0.5)
	require.Positive(t, u.FDs)
}

// TestStartOther: a program that is started can be looked at until it has ended.
func TestStartOther(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	require.NoError(t, proc.StartOther(cmd))
	_, err := proc.UsedBy(cmd.Process.Pid, false)
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	_, err = proc.UsedBy(cmd.Process.Pid, false)
	require.Error(t, err)
}
