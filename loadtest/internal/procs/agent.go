package procs

import (
	"bufio"
	"context"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spatehub/spate/loadtest/internal/check"
	"github.com/spatehub/spate/loadtest/internal/fleet"
)

// protocol is the version of what a coordinator and its agents say to each other. It
// changes with every change of the configuration or the figures.
const protocol = "loadtest-agent-1"

const (
	greetWithin = 10 * time.Second
	windUp      = 5 * time.Second
	maxToken    = 4096
)

// Security says how a coordinator and its agents know each other: by a token, by
// certificates, or by both.
type Security struct {
	Token          string
	Cert, Key      string // files with one's own certificate and key, PEM
	CA             string // file with the authority of the others' certificates
	InsecureNobody bool   // neither: for tests
}

// server is the TLS configuration of an agent; nil without certificates.
func (s *Security) server() (*tls.Config, error) {
	if s.Cert == "" {
		return nil, nil
	}
	c, err := s.own()
	if err != nil || s.CA == "" {
		return c, err
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	c.ClientCAs, err = pool(s.CA)
	return c, err
}

// client is that of a coordinator; nil without certificates.
func (s *Security) client() (*tls.Config, error) {
	if s.CA == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS13}
	var err error
	if s.Cert != "" {
		if c, err = s.own(); err != nil {
			return nil, err
		}
	}
	c.RootCAs, err = pool(s.CA)
	return c, err
}

func (s *Security) own() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(s.Cert, s.Key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}, nil
}

func pool(file string) (*x509.CertPool, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s has no certificate in PEM form", file)
	}
	return p, nil
}

// Agent serves one coordinator after the other on l until ctx ends; while one is
// served, others are told so. log is told of each.
func Agent(ctx context.Context, l net.Listener, s Security, log func(format string, args ...any)) error {
	if s.Token == "" && (s.Cert == "" || s.CA == "") && !s.InsecureNobody {
		return errors.New("an agent does what whoever connects to it says: give a token (-token-file), or certificates for both sides (-cert, -key, -ca)")
	}
	conf, err := s.server()
	if err != nil {
		return err
	}
	if conf != nil {
		l = tls.NewListener(l, conf)
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	busy := make(chan struct{}, 1) // holds the coordinator that is served
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		wg.Go(func() {
			defer conn.Close()
			end := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer end()
			in, err := greet(conn, s.Token)
			if err != nil {
				log("%s: %v", conn.RemoteAddr(), err)
				return
			}
			select {
			case busy <- struct{}{}:
			case <-time.After(windUp): // longer than a run that is over needs to wind up
				_, _ = io.WriteString(conn, "busy with another run\n")
				return
			}
			defer func() { <-busy }()
			if _, err := io.WriteString(conn, "ok\n"); err != nil {
				return
			}
			log("%s: a run begins", conn.RemoteAddr())
			serveWorker(struct {
				io.Reader
				io.WriteCloser
			}{in, conn})
			log("%s: the run is over", conn.RemoteAddr())
		})
	}
}

// greet reads a coordinator's first line: the protocol and the token.
func greet(conn net.Conn, token string) (*bufio.Reader, error) {
	_ = conn.SetDeadline(time.Now().Add(greetWithin)) // cannot fail on an open connection
	in := bufio.NewReaderSize(conn, maxToken+len(protocol)+2)
	line, err := in.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("no greeting: %w", err)
	}
	version, given, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
	switch {
	case subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1:
		_, _ = io.WriteString(conn, "the token is not this agent's\n")
		return nil, errors.New("a wrong token")
	case version != protocol:
		_, _ = io.WriteString(conn, "another version of loadtest\n")
		return nil, fmt.Errorf("another version: %.40q", version)
	}
	return in, conn.SetDeadline(time.Time{})
}

// serveWorker serves calls until the other end is done, and closes the fleet.
func serveWorker(conn io.ReadWriteCloser) {
	w := &Worker{agent: true}
	srv := rpc.NewServer()
	if err := srv.Register(w); err != nil {
		panic(err) // the methods' form is wrong
	}
	srv.ServeConn(conn)
	if w.fleet != nil {
		_ = w.fleet.Close()
	}
}

// Dial connects to the agent at addr and makes it a fleet for spec. l is what the
// publisher here has issued, now the run's clock.
func Dial(ctx context.Context, addr string, s Security, spec Spec, l *check.Ledger, now func() int64) (*Remote, error) {
	conf, err := s.client()
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: greetWithin}
	var conn net.Conn
	if conf == nil {
		conn, err = d.DialContext(ctx, "tcp", addr)
	} else {
		conn, err = (&tls.Dialer{NetDialer: &d, Config: conf}).DialContext(ctx, "tcp", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("agent %s: %w", addr, err)
	}
	r, err := welcome(conn, addr, s.Token, spec, now)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("agent %s: %w", addr, err)
	}
	r.ledger = l
	return r, nil
}

func welcome(conn net.Conn, addr, token string, spec Spec, now func() int64) (*Remote, error) {
	_ = conn.SetDeadline(time.Now().Add(greetWithin)) // cannot fail on an open connection
	if _, err := fmt.Fprintf(conn, "%s %s\n", protocol, token); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("it hung up: is it an agent, and does it want TLS? %w", err)
	}
	if line != "ok\n" {
		return nil, errors.New(strings.TrimSpace(line))
	}
	_ = conn.SetDeadline(time.Time{})
	r := &Remote{name: "agent " + addr, input: conn, calls: rpc.NewClient(struct {
		io.Reader
		io.WriteCloser
	}{in, conn})}
	if spec.Offset, r.Unsure, err = r.offset(now); err != nil {
		return nil, err
	}
	spec.Config.PushKey, spec.Config.PushHeader = "", nil // the coordinator publishes
	return r, r.call("Init", spec, &None{})
}

// pings is how often the other clock is read.
const pings = 15

// offset is what has to be added to the agent's clock to get the coordinator's, and
// how far off that may be.
func (r *Remote) offset(now func() int64) (offset, unsure int64, err error) {
	unsure = 1 << 62
	for range pings {
		before := now()
		var theirs int64
		if err := r.call("Clock", None{}, &theirs); err != nil {
			return 0, 0, err
		}
		after := now()
		if half := (after - before) / 2; half < unsure {
			offset, unsure = before+half-theirs, half
		}
	}
	return offset, unsure, nil
}

// Clock is the agent's wall clock.
func (w *Worker) Clock(_ None, now *int64) error {
	*now = time.Now().UnixNano()
	return nil
}

var _ fleet.Fleet = (*Remote)(nil)
