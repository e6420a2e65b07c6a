package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/spatehub/spate/serve/limit"
	"github.com/spatehub/spate/serve/stream"
	"github.com/spatehub/spate/serve/tlsfile"
)

// proxyHeaderTimeout is how long a trusted proxy may take for its PROXY protocol header.
const proxyHeaderTimeout = 5 * time.Second

// openListener takes the address.
func (c *serveConfig) openListener(ctx context.Context) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: c.keepAlive()}
	l, err := lc.Listen(ctx, "tcp", c.listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program; end that one, or choose another address with --listen (port 0 takes any free one)", c.listen)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("no permission to listen on %s; choose a port from 1024 up with --listen", c.listen)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w", c.listen, err)
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); !c.public() && (!ok || !tcp.IP.IsLoopback()) {
		l.Close()
		return nil, usagef("--listen %s: that name means %v, which is no loopback address", c.listen, l.Addr())
	}
	return l, nil
}

// wrap is the listener as the server has it: sparing with descriptors, and where proxies say where connections come
// from, with their word for it.
func (c *serveConfig) wrap(l net.Listener, proxies *limit.Proxies) net.Listener {
	l = sparingListener{l, c.descriptors() * 2 / 3}
	if c.limits.proxyProto {
		l = proxies.Listener(l, proxyHeaderTimeout)
	}
	return l
}

// secure reads the keys, tokens and certificates that the settings name. certs is nil where nothing is encrypted.
func (c *serveConfig) secure(log *slog.Logger, a *access) (certs *tlsfile.Config, err error) {
	trouble := func(err error) { log.Error("keys, tokens and certificates stay as they were", "why", err) }
	if c.tls.on() {
		if certs, err = tlsfile.Load(c.tls.files(trouble)); err != nil {
			return nil, err
		}
	}
	first, err := a.prepare(c, trouble)
	if err != nil {
		return nil, err
	}
	first.enforce()
	return certs, nil
}

// protocols are what is spoken on connections.
func (c *serveConfig) protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(c.tls.on())
	p.SetUnencryptedHTTP2(c.tls.unencryptedTwo)
	return p
}

// serveOn serves until the server ends.
func serveOn(server *http.Server, l net.Listener, certs *tlsfile.Config) error {
	if certs == nil {
		return server.Serve(l)
	}
	server.TLSConfig = certs.Server()
	return server.Serve(stream.NewTLSListener(l, server.TLSConfig)) // not ServeTLS: streams would have a goroutine each
}

// sparingListener hangs up on connections that come when few descriptors are left: what has not yet asked for anything
// is refused before the log is. Streams are refused before that, with a word.
type sparingListener struct {
	net.Listener
	reserve int // descriptors that are left to the rest of the process
}

// Accept returns connections as they are: streams take their sockets over.
func (l sparingListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if limit := stream.DescriptorStats().Limit; limit == 0 || descriptorOf(c) < limit-l.reserve {
			return c, nil
		}
		c.Close()
	}
}

// descriptorOf returns the connection's number, which is the lowest that was free: so many are in use; 0 where it has none.
func descriptorOf(c net.Conn) (n int) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { n = int(fd) }) // fails for a closed one: 0
	return n
}
