//go:build linux

package server

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/spatehub/spate/bench/internal/proc"
)

// host is a server that is up: in this process, or beside it.
type host struct {
	srv     Server
	port    int
	outside Outside // nil if it is in this process
}

// start makes the server and lets it take connections.
func (c Catalog) start(s Setup) (*host, error) {
	srv, err := c.open(s.Server, s.Options)
	if err != nil {
		return nil, err
	}
	if o, ok := srv.(Outside); ok {
		// The server's process has been started on the processor where this one was; what is left here is load.
		if _, err := proc.Bind(s.LoadCPU); err != nil {
			o.Close()
			return nil, err
		}
		return &host{srv, o.Port(), o}, nil
	}
	ln, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	h := &host{srv: srv, port: ln.Addr().(*net.TCPAddr).Port}
	if s.TLS {
		if ln, err = secure(srv, ln, s.Certs); err != nil {
			return nil, err
		}
	}
	go func() {
		if err := srv.Serve(ln); err != nil {
			fmt.Fprintln(os.Stderr, s.Server+":", err)
			os.Exit(1)
		}
	}()
	return h, nil
}

// secure makes ln a listener for TLS.
func secure(srv Server, ln net.Listener, dir string) (net.Listener, error) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile))
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	if s, ok := srv.(Secured); ok {
		return s.Secure(ln, config), nil
	}
	return tls.NewListener(ln, config), nil
}

func (h *host) used(settle bool) (proc.Usage, error) {
	if h.outside != nil {
		return proc.UsedBy(h.outside.PID(), settle)
	}
	return proc.Used(settle), nil
}

func (h *host) close() {
	if h.outside != nil {
		h.outside.Close()
	}
}
