package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each command and each flag that its help lists is described: completions and the man page miss none.
func TestDescriptionsAreWhole(t *testing.T) {
	docs := describe()
	require.Len(t, docs, len(commands())+len(logCommands()))
	page := runToEnd(t, "", "man")
	require.Equal(t, exitOK, page.code, page.err)
	fish := runToEnd(t, "", "completion", "fish")
	require.Equal(t, exitOK, fish.code, fish.err)
	flags := 0
	for _, d := range docs {
		help := runToEnd(t, "", append(strings.Fields(d.name), "--help")...)
		require.Equal(t, exitOK, help.code)
		for line := range strings.Lines(help.out) {
			name, ok := strings.CutPrefix(line, "  --")
			if !ok {
				continue
			}
			name = strings.Fields(name)[0]
			flags++
			require.Contains(t, page.out, `\fB\-\-`+strings.ReplaceAll(name, "-", `\-`)+`\fR`)
			require.Contains(t, fish.out, " -l "+name+" ", d.name)
		}
		require.Contains(t, page.out, ".SS spate "+d.name)
	}
	require.Greater(t, flags, 30)
}

// complete asks bash what it would offer for a command line.
func complete(t *testing.T, script string, words ...string) []string {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not here")
	}
	cmd := exec.Command(bash, "-c", `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _spate; printf '%s\n' "${COMPREPLY[@]}"`, "bash", script)
	cmd.Args = append(cmd.Args, words...)
	cmd.Dir = filepath.Dir(script)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return strings.Fields(string(out))
}

// Bash offers commands, those under log, flags, and files.
func TestBashCompletion(t *testing.T) {
	got := runToEnd(t, "", "completion", "bash")
	require.Equal(t, exitOK, got.code, got.err)
	script := filepath.Join(t.TempDir(), "spate.bash")
	require.NoError(t, os.WriteFile(script, []byte(got.out), 0o600))
	require.Equal(t, []string{"serve"}, complete(t, script, "spate", "se"))
	require.Contains(t, complete(t, script, "spate", ""), "help")
	require.Equal(t, []string{"repair", "restore"}, sorted(complete(t, script, "spate", "log", "re")))
	require.Equal(t, []string{"--retain-age", "--retain-bytes", "--retain-count", "--retain-topic"}, sorted(complete(t, script, "spate", "serve", "--retain-")))
	require.Equal(t, []string{"--after"}, complete(t, script, "spate", "log", "export", "--af"))
	require.Equal(t, []string{"--help"}, complete(t, script, "spate", "log", "check", "-"))
	require.Equal(t, []string{"zsh"}, complete(t, script, "spate", "completion", "z"))
	require.Equal(t, []string{"spate.bash"}, complete(t, script, "spate", "log", "check", "spate.b"))
}

// A shell that is not known is refused by name, as are words too many.
func TestCompletionRefuses(t *testing.T) {
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}, {"man", "page"}} {
		got := runToEnd(t, "", args...)
		require.Equal(t, exitUsage, got.code, args)
		require.Empty(t, got.out)
	}
}

func sorted(words []string) []string {
	slices.Sort(words)
	return words
}
