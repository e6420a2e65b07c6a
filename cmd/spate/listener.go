package main

import (
	"net"

	"github.com/spatehub/spate/serve"
)

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
		if limit := serve.DescriptorStats().Limit; limit == 0 || descriptorOf(c) < limit-l.reserve {
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
