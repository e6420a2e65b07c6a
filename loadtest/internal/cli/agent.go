package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/spatehub/spate/loadtest/internal/procs"
)

// securityFlags are those by which a coordinator and its agents know each other.
func securityFlags(fs *flag.FlagSet, prefix string, s *procs.Security) {
	fs.Func(prefix+"token-file", "`FILE` with the token that coordinator and agents share (or $LOADTEST_AGENT_TOKEN)", func(name string) error {
		b, err := os.ReadFile(name)
		if s.Token = strings.TrimSpace(string(b)); err == nil && s.Token == "" {
			err = fmt.Errorf("%s is empty", name)
		}
		return err
	})
	fs.StringVar(&s.Cert, prefix+"cert", "", "`FILE` with this side's certificate, PEM")
	fs.StringVar(&s.Key, prefix+"key", "", "`FILE` with its key, PEM")
	fs.StringVar(&s.CA, prefix+"ca", "", "`FILE` with the authority of the other side's certificates, PEM")
	s.Token = os.Getenv("LOADTEST_AGENT_TOKEN")
}

// agentCommand holds streams for runs that are conducted elsewhere.
func agentCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("agent", "agent [-listen ADDRESS] -token-file FILE", stderr)
	listen := fs.String("listen", "127.0.0.1:7071", "`address` to wait at for run -agents")
	var s procs.Security
	securityFlags(fs, "", &s)
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("%q is no flag; agent takes flags only", rest[0])
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("-listen: %w", err)
	}
	defer l.Close()
	fmt.Fprintf(stdout, "agent at %s\n", l.Addr())
	return procs.Agent(ctx, l, s, func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) })
}
