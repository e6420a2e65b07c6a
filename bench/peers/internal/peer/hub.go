//go:build linux

package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spatehub/spate/bench/internal/server"
	"github.com/spatehub/spate/internal/others"
	"github.com/spatehub/spate/loadtest/stamp"
)

// HubVar names, in the environment, the spate program that spate-hub runs.
const HubVar = "SPATETEST_BENCH_HUB"

// newHub starts the standalone hub with its log in memory, as the other servers have theirs.
func newHub(o server.Options) (server.Server, error) {
	bin := os.Getenv(HubVar)
	if bin == "" {
		return nil, errors.New("no hub has been built: " + HubVar + " names none")
	}
	port, err := others.FreePort()
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "--memory", "--insecure", "--log-level", "error", "--listen", fmt.Sprintf("0.0.0.0:%d", port)}
	if o.TLS {
		cert, key := certificate(o)
		args = append(args, "--tls-cert", cert, "--tls-key", key)
	}
	if o.Gzip {
		args = append(args, "--compress")
	}
	return start(o, port, program{
		name: bin, args: args,
		api:  api{head: "Content-Type: application/json\r\n", batch: 100, path: fixed("/push"), body: hubBody},
		path: server.DefaultPath,
		position: func(answer []byte) string {
			var got struct {
				IDs []string `json:"ids"`
			}
			if json.Unmarshal(answer, &got) != nil || len(got.IDs) == 0 {
				return ""
			}
			return got.IDs[len(got.IDs)-1]
		},
	})
}

// hubBody is the push of several events to one audience.
func hubBody(dst []byte, list []posted) []byte {
	dst = append(dst, '{')
	if list[0].kind == stamp.User {
		dst = append(append(append(dst, `"uids":["`...), channelOf(stamp.User, list[0].index)...), `"],`...)
	}
	dst = append(dst, `"events":[`...)
	for i, e := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"event":"message",`...)
		if e.kind == stamp.Topic {
			dst = append(append(append(dst, `"topic":"`...), channelOf(stamp.Topic, e.index)...), `",`...)
		}
		dst = append(e.quoted(append(dst, `"data":`...)), '}')
	}
	return append(dst, "]}"...)
}
