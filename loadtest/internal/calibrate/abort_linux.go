package calibrate

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// abort resets the connection once the peer's kernel has all that was written:
// what is booked as sent then is there to be read, and the reader's next read but
// those is the reset.
func abort(conn net.Conn) {
	defer conn.Close()
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		unsent := 0
		if raw.Control(func(fd uintptr) { unsent, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }) != nil || err != nil {
			return
		}
		if unsent == 0 {
			_ = tcp.SetLinger(0)
			return
		}
	}
}
