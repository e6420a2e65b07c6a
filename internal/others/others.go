// Package others finds and starts servers of others, for tests and benchmarks beside them: nginx with nchan, and
// Centrifugo. Nothing is downloaded here: what is not on this machine is told with the way to get it.
package others

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// nchanModule is where Debian's libnginx-mod-nchan has it.
const nchanModule = "/usr/lib/nginx/modules/ngx_nchan_module.so"

// Nchan returns the path of an nginx that can have nchan loaded.
func Nchan() (nginx string, err error) {
	nginx, err = exec.LookPath("nginx")
	if err == nil {
		_, err = os.Stat(nchanModule)
	}
	if err != nil {
		return "", errors.New("no nginx with nchan here: apt-get install nginx libnginx-mod-nchan")
	}
	return nginx, nil
}

// NginxConf is a configuration of an nginx with nchan: one process in the foreground, which keeps what it has to write in
// dir. http is what stands in its http block, server what does in the block of a server that listens at listen.
func NginxConf(dir, listen, http, server string) string {
	paths := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		paths += fmt.Sprintf("%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	return fmt.Sprintf(`load_module %s;
daemon off; master_process off; pid %s/pid; error_log %s/error.log error;
events { worker_connections 40000; }
http {
access_log off;
%s%s
server {
listen %s;
%s
}
}
`, nchanModule, dir, dir, paths, http, listen, server)
}

// CentrifugoVersion is the version that the tests and benchmarks are written for.
const CentrifugoVersion = "v6.9.1"

// Centrifugo returns the path of a Centrifugo server: what LOADTEST_CENTRIFUGO names, or one on the PATH.
func Centrifugo() (string, error) {
	if path := os.Getenv("LOADTEST_CENTRIFUGO"); path != "" {
		return exec.LookPath(path)
	}
	path, err := exec.LookPath("centrifugo")
	if err != nil {
		return "", errors.New("no centrifugo on the PATH nor in LOADTEST_CENTRIFUGO; the build takes minutes: go install github.com/centrifugal/centrifugo/v6@" + CentrifugoVersion)
	}
	return path, nil
}

// FreePort returns a port that nobody listened at a moment ago.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// AwaitListen waits until somebody listens at addr, for the process whose end closes ended to come up.
func AwaitListen(addr string, limit time.Duration, ended <-chan struct{}) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(limit)
	defer late.Stop()
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ended:
			return fmt.Errorf("the server for %s has ended", addr)
		case <-late.C:
			return fmt.Errorf("nobody listens at %s after %v: %w", addr, limit, err)
		case <-tick.C:
		}
	}
}
