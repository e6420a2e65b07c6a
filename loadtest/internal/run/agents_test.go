package run_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spatehub/spate/loadtest/internal/calibrate"
	"github.com/spatehub/spate/loadtest/internal/config"
	"github.com/spatehub/spate/loadtest/internal/procs"
	"github.com/spatehub/spate/loadtest/internal/report"
	"github.com/spatehub/spate/loadtest/internal/run"
	"github.com/spatehub/spate/loadtest/internal/session"
)

const agentEnv = "LOADTEST_AGENT_TEST"

// agentMain makes this process an agent if it was started as one: with the token, or
// with the certificates in a folder. It ends when its standard input does.
func agentMain() {
	how, ok := os.LookupEnv(agentEnv)
	if !ok {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		cancel()
	}()
	if err := procs.Agent(ctx, l, securityOf(how), func(string, ...any) {}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func securityOf(how string) procs.Security {
	if dir, tls := strings.CutPrefix(how, "tls:"); tls {
		return procs.Security{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), CA: filepath.Join(dir, "cert.pem")}
	}
	return procs.Security{Token: how}
}

// agent starts an agent in a process of its own.
func agent(t *testing.T, how string) (addr string) {
	cmd, in, addr := agentProcess(t, how)
	t.Cleanup(func() {
		_ = in.Close()
		require.NoError(t, cmd.Wait())
	})
	return addr
}

// agentProcess starts one that the caller ends: by closing in, or by force.
func agentProcess(t *testing.T, how string) (cmd *exec.Cmd, in io.Closer, addr string) {
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), agentEnv+"="+how)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	addr, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return cmd, in, strings.TrimSpace(addr)
}

// An agent that dies while events are published ends the run with what all have seen
// so far, and the result says that it does not count and why; the others go on.
func TestAnAgentDies(t *testing.T) {
	for _, all := range []bool{false, true} {
		var cmds []*exec.Cmd
		var addrs []string
		for range 2 {
			cmd, _, addr := agentProcess(t, "t0ken")
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			cmds, addrs = append(cmds, cmd), append(addrs, addr)
		}
		dying := cmds[1:]
		if all {
			dying = cmds
		}
		c, _ := ways[3].serve(t, calibrate.Faults{})
		c.Agents, c.Events, c.Rate, c.Duration = addrs, 0, "100/s", time.Minute
		c.Expect = []string{"lost==0"}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		killed, seen := false, int64(0)
		r, err := run.RunWith(ctx, c, securityOf("t0ken"), func(_ report.Point, sofar *session.Stats) {
			switch {
			case !killed && sofar.Deliveries > 200:
				killed, seen = true, sofar.Deliveries
				for _, p := range dying {
					require.NoError(t, p.Process.Kill())
					_ = p.Wait()
				}
			case killed && sofar.Deliveries > seen+500:
				cancel() // the other one goes on
			}
		})
		require.NoError(t, err)
		require.True(t, killed)
		require.Len(t, r.Verdict.Invalid, len(dying))
		require.Contains(t, r.Verdict.Invalid[len(dying)-1], "agent "+addrs[1]+" is gone")
		require.GreaterOrEqual(t, r.Deliveries.Count, seen)
		require.NotZero(t, r.Latency.Count)
		require.Less(t, r.Seconds.Publish, 50.0)
		require.NotEqual(t, report.ExitOK, r.ExitCode())
		if all {
			require.False(t, r.Interrupted, "it ended by itself")
			require.Equal(t, report.ExitInvalid, r.ExitCode())
		}
	}
}

// Two agents count what one process counts: every fault of the server, resumes
// included, in one result. And an agent serves one run after the other.
func TestAgents(t *testing.T) {
	agents := []string{agent(t, "t0ken"), agent(t, "t0ken")}
	security := securityOf("t0ken")
	for _, mode := range []string{config.ModeAuto, config.ModePortable} {
		c, cal := ways[3].serve(t, calibrate.Faults{Drop: 10, Double: 9, Swap: 7, Misaddress: 8, Corrupt: 11})
		c.Mode, c.Agents, c.Connections, c.Events, c.PushKey = mode, agents, 1, 201, "secret"
		r, err := run.RunWith(t.Context(), c, security, nil)
		require.NoError(t, err)
		truth := cal.Truth()
		require.Equal(t, report.Checks{
			NoIDs: true, Lost: uint64(truth.Dropped), LostTail: r.Checks.LostTail, Duplicates: truth.Doubled, Disorder: truth.Swapped, Misaddressed: truth.Misaddressed, Corrupt: truth.Corrupted,
		}, r.Checks)
		require.Equal(t, truth.Sent, r.Deliveries.Count)
		require.Equal(t, truth.Sent, r.Latency.Count)
		require.EqualValues(t, 10, r.Streams.Opened)
		require.Contains(t, strings.Join(r.Verdict.Warnings, "\n"), "2 agents held the streams")
	}
	c, cal := ways[3].serve(t, calibrate.Faults{EndAfter: 60, SkipResumed: 3})
	c.Agents, c.Retry = agents, 20*time.Millisecond
	r, err := run.RunWith(t.Context(), c, security, nil)
	require.NoError(t, err)
	require.NotZero(t, cal.Truth().Skipped)
	require.EqualValues(t, cal.Truth().Skipped, r.Checks.Lost)
	require.Equal(t, cal.Truth().Resumed, r.Streams.Resumed)
	require.NotZero(t, r.Deliveries.Replayed)
	require.Zero(t, r.Resume.Count)
}

// An agent takes no orders from those that do not prove who they are, nor from two
// at a time.
func TestAgentsAreGuarded(t *testing.T) {
	addr := agent(t, "t0ken")
	c, _ := ways[3].serve(t, calibrate.Faults{})
	c.Agents = []string{addr}
	for token, want := range map[string]string{"": "the token is not this agent's", "t0ke": "the token is not this agent's"} {
		_, err := run.RunWith(t.Context(), c, procs.Security{Token: token}, nil)
		require.ErrorContains(t, err, want)
	}
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "loadtest-agent-1 t0ken\n")
	require.NoError(t, err)
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ok\n", line)
	_, err = run.RunWith(t.Context(), c, procs.Security{Token: "t0ken"}, nil)
	require.ErrorContains(t, err, "busy with another run")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	require.ErrorContains(t, procs.Agent(t.Context(), l, procs.Security{}, t.Logf), "-token-file")
}

// With certificates on both sides, only those of the authority are served.
func TestAgentsWithCertificates(t *testing.T) {
	dir, other := certificate(t), certificate(t)
	addr := agent(t, "tls:"+dir)
	c, _ := ways[3].serve(t, calibrate.Faults{})
	c.Agents = []string{addr}
	_, err := run.RunWith(t.Context(), c, securityOf("tls:"+other), nil)
	require.ErrorContains(t, err, "certificate")
	_, err = run.RunWith(t.Context(), c, procs.Security{CA: filepath.Join(dir, "cert.pem")}, nil)
	require.Error(t, err, "no certificate of its own")
	_, err = run.RunWith(t.Context(), c, procs.Security{}, nil)
	require.Error(t, err, "no TLS at all")
	r, err := run.RunWith(t.Context(), c, securityOf("tls:"+dir), nil)
	require.NoError(t, err)
	require.EqualValues(t, 10*200, r.Deliveries.Count)
}

// certificate makes one for 127.0.0.1 that is its own authority.
func certificate(t *testing.T) (dir string) {
	dir = t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "loadtest"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
	return dir
}
