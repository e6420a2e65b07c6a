//go:build linux

package peer

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/internal/others"
	"github.com/spatehub/spate/loadtest/stamp"
)

// nchan is nginx with the module nchan: one process, no workers beside it, since there is one processor.
func newNchan(o server.Options) (server.Server, error) {
	nginx, err := others.Nchan()
	if err != nil {
		return nil, err
	}
	port, err := others.FreePort()
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(o.Dir, "nginx.conf")
	return startWith(o, port, conf, nchanConf(o, port), program{
		name: nginx, args: []string{"-p", o.Dir, "-c", conf},
		api: api{
			head: "Accept: text/json\r\nContent-Type: text/plain\r\n", batch: 1,
			path: func(e posted) string { return "/pub?id=" + channelOf(e.kind, e.index) },
			body: func(dst []byte, list []posted) []byte { return append(dst, list[0].data...) },
		},
		path: func(kind stamp.Kind) string { return "/sub?id=" + channelParameter(kind) },
		position: func(answer []byte) string {
			var status struct {
				Last string `json:"last_message_id"`
			}
			_ = json.Unmarshal(answer, &status)
			return status.Last
		},
	})
}

// nchanConf keeps as many messages as may wait for a client: a subscriber that has fallen behind reads them from there.
// What is shared holds the messages of all channels. Keep-alive lasts for as many requests as the publisher makes.
func nchanConf(o server.Options, port int) string {
	listen, http := strconv.Itoa(port), "nchan_shared_memory_size 256m;\nkeepalive_requests 100000000;\n"
	if o.TLS {
		cert, key := certificate(o)
		listen += " ssl"
		http += fmt.Sprintf("ssl_certificate %s;\nssl_certificate_key %s;\n", cert, key)
	}
	return others.NginxConf(o.Dir, listen, http, fmt.Sprintf(
		`location = /sub { nchan_subscriber eventsource; nchan_channel_id $arg_id; nchan_subscriber_first_message newest; }
location = /pub { nchan_publisher; nchan_channel_id $arg_id; nchan_message_buffer_length %d; nchan_message_timeout 60s; }`,
		buffer(o, 1000)))
}

// startWith writes a server's file of settings and starts it.
func startWith(o server.Options, port int, file, text string, p program) (server.Server, error) {
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return start(o, port, p)
}
